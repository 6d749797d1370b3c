package main

// binds says what keeps pmmc from being faster here. It is what profiles showed
// (/debug/pprof/profile of a node under pmmc bench, and perf), not measured by each run.
const binds = `
## What binds

On two processors that the nodes share with the client it is CPU, not the disk. Virtual machines of this kind differ by a factor of three from
one day to the next and, with what their neighbours do, by a factor of two from one run to the next: look at the brackets. What this section says without naming
another is of a quiet one whose floor was 187 µs. There the code before proposers shared their requests (see below) did 3,400 operations a second
with one proposer (hashicorp/raft 2,600, etcd-io/raft 4,400; p50 1.52 times the floor) and 139,000 with 256 (52,000 and 90,000), 29,700 puts a
second with 256 clients (etcd 16,500) and 50,000 gets (53,000), and a node with a large state was ready again after 1.0 s (2.4).

- **Hand-overs** between goroutines cost more than the work that they hand over where each takes one thing: until proposers that ask at a time shared a
  request, each put woke the client's actor and the replica's for itself (0.71 turns of each for a put, now 0.06). In turns on a slow machine, four
  rounds: puts with 256 clients 10,300 to 11,900 a second and 140 to 123 µs, linearizable gets 19,200 to 24,900, the library with 16 proposers
  8,400 to 13,600. Queries share one of Pebble's snapshots until the next commit: a get of the store took 8.6 µs there, now 5.7.
- **A server's put** costs some 60 µs of CPU over the three nodes where etcd's costs 94 in the same turns, and 10 µs in the client, which is a bare
  one of its own for this reason. Of the leader's 35 µs, two fifths are gRPC's (a call that is read, answered and written: headers, frames,
  goroutines), a fifth is the replica's (half of it two searches of Pebble's skip list; the third entry of a put needs none), an eighth the
  gateway's, and the rest is the journal, peers, Pebble's flushes, garbage and the scheduler; allocation, wherever it happens, is an eighth. Of a
  follower's 13 µs a third is the replica's, a sixth Pebble's flushes and compactions, a fifth what comes from the leader, and an eighth the
  journal. With half of etcd's CPU there would be 33 µs for all that three nodes do beyond the leader's bare gRPC call. More garbage
  (` + "`GOGC=400`" + `), smaller or larger memtables, and rarer compactions changed nothing that could be seen. Profile-guided
  optimisation gave 2 to 3 per cent of it, and doubled the time of a build: not used.
- **One client at the server** waits for the wake-ups of threads: a put passes some 12 goroutines in three processes, and costs 0.9 ms of CPU
  (etcd's 0.8), of which two thirds are the kernel's and the Go scheduler's. In one process (the library) the same path takes a third of that.
  Nodes with one thread each (` + "`GOMAXPROCS=1`" + `), in turns on a slow machine, do 423 puts a second where they do 329, for 2.6 ms of CPU where they take 4.0: which is
  advice for nodes that share a machine, and for no others.
- **Gets** are gRPC's: a bare call costs a server 13 to 16 µs of CPU, a serializable get 20, a linearizable one 30. etcd 3.7 does as well (3.4 took 126 µs).
- **The library** writes each decree once to each other node, in its p2a, which is encoded once for all; decisions only name it. What is left of copies are
  those of gRPC's frames and of the kernel.
- **Long operations** wait for the disk: each is in three journals, which came to 100 to 120 MiB a second together on the day of the tables (256 KiB, 1 MiB), and
  to 440 to 480 on the quiet machine (589 and 161 operations a second).
- **Several nodes in one process**, as the library is measured, wait for each other's fsyncs: a thread in a system call keeps its place in Go's
  scheduler for up to 0.1 ms. With ` + "`GOMAXPROCS=4`" + ` on two processors pmmc does 42,000 operations a second with 64 proposers and 94,000 with
  256, etcd-io/raft 43,000 and 86,000, hashicorp/raft 23,000 and 53,000 (medians of three). For servers, a process each, it changes nothing.
- **Flooded**, nodes share the processors with a client that asks for twice what they can do, and is refused the
  rest: an open loop has one clock for all requests, and the client's calls have no timers. With grpc-go's client, which took half of the
  machine, throughput fell to 61 per cent, and a node that got no processor for 400 ms was taken for dead. It still is, where other
  programs take the processors. A refusal costs the leader a sixth of what a put does (10 and 59 µs, on a machine three times as slow
  as this one, from the processes' time at 14,600 puts a second and, twice as many asked for, at 11,800 and 18,800 refusals), and the client more
  than a put (25 and 18): a third of the machine went into refusals, most of that in the client. (There, two minutes of it
  ran at 93 per cent of the peak: 15,900 puts a second of 17,000.) The memory is that of 4,096 requests under way and up to 20,000 that are being refused.

`
