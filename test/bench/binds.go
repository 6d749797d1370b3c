package main

// binds says what keeps pmmc from being faster here. It is what profiles showed
// (/debug/pprof/profile of a node under pmmc bench, and perf), not measured by each run.
const binds = `
## What binds

On two processors that the nodes share with the client it is CPU, not the disk.

- **A server's put** costs some 97 µs of CPU over the three nodes, and 27 µs in the client. Two processors do about 15,000 of both in a
  second, and the sum is what the table shows at 256 clients. Of the leader's 51 µs, half is gRPC's (a call that is read, answered and written:
  headers, frames, goroutines), a fifth is the replica's (sessions, Pebble's memtable with three entries a put), and the rest is garbage,
  system calls and the scheduler. A follower's 20 µs are nearly all the replica's and Pebble's. To be 2.5 times etcd, all three nodes together would have to
  do with 20 µs beyond a bare gRPC call.
- **One client at the server** waits for the wake-ups of threads: a put passes some 12 goroutines in three processes, and costs 1.5 ms of CPU, of
  which two thirds are the kernel's and the Go scheduler's. In one process (the library) the same path takes a third of that.
- **The library** writes each decree once to each other node, in its p2a, which is encoded once for all; decisions only name it. What is left of copies are
  those of gRPC's frames and of the kernel.
- **Several nodes in one process**, as the library is measured, wait for each other's fsyncs: a thread in a system call keeps its place in Go's
  scheduler for up to 0.1 ms. With ` + "`GOMAXPROCS=4`" + ` on two processors pmmc does 42,000 operations a second with 64 proposers and 94,000 with
  256, etcd-io/raft 43,000 and 86,000, hashicorp/raft 23,000 and 53,000 (medians of three). For servers, a process each, it changes nothing.
- **Flooded**, the client that asks for 38,000 puts a second takes as much of the two processors as the three nodes, whether it is refused or
  not: what is left to the nodes is what the table shows. The one change of leader comes of that, too: a node that gets no processor
  for 400 ms is taken for dead. The memory is that of 4,096 requests under way and 20,000 that are being refused.

`
