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
  8,400 to 13,600.
- **Wake-ups.** A thread of Go's runtime sleeps for 20 µs again and again, to see what became of threads in system calls. With the kernel's
  usual timer slack it woke 2,000 to 4,500 times a second in each node on a slow machine: half of all switches of threads, 15 per cent of a follower's CPU
  with 256 clients and 22 with one. A node gives its threads a slack of 200 µs: in turns, six to twelve rounds, one client came from 354 to
  427 puts a second, 1,000 clients from 15,100 to 17,800 (98 to 82 µs of CPU), 256 from 144 to 128 µs. A node that has a machine to itself gained nothing that could be
  seen, and several nodes in one process lose by it, so it is the command's, not the library's.
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
- **The worst of a hundred puts** wait for what all wait for: of 3 s, they lay in the two or three spans of 50 to 100 ms in which the three nodes, which
  execute the same, wrote their memtables to disk at the same time, or the leader collected garbage (25 to 40 ms, once a second), on the
  processors that puts need. Memtables of 8 and 4 MiB, and such of another size in each node, changed nothing that could be told from the noise. etcd's p99 is 1.9 times its
  p50, pmmc's 3 times.
  With 64 clients, on another day, nearly all spans in which puts took more than 22 ms began with a collection of the leader's garbage (each half second, 10 to
  30 ms, of a heap of 50 MiB of which 15 live), and none with a memtable: with memtables of 1 GiB the p99 was the same. Rarer collections are no way out, for each page of a
  larger heap is new: ` + "`GOGC=800`" + ` did the same, and ` + "`GOGC=2000`" + ` 0.96 of the rate with 64 and 0.77 with 256 (five turns). Of the 6.5 KB in 66 pieces that a put leaves
  behind at the leader, more than half is gRPC's. Also in turns, and not kept: one slot in flight (1.07 of the rate with 64, 0.87 with 256), and none
  but the first with fewer commands than half of those that wait or fly (0.99 and 0.96).
- **Memory that is new** costs a fault for each page, which on these machines is dear: it was 5 to 9 per cent of a node's CPU while it grew to its
  250 MiB, of which decrees for those who lag, and the garbage that goes with them, were the most. Since acceptors leave what is executed to their
  journals (actors/shelf.go), three nodes have 425 MiB after 20 s of load where they had 865, and in turns on a slow machine, each time in clusters just
  started, six rounds: 1,000 clients came from 17,400 to 19,800 puts a second (94 to 82 µs of CPU; p99 158 to 125 ms), 256 from 12,600 to 13,700 (120 to 108), spread over
  all nodes from 11,000 to 12,000 (141 to 126); the first seconds of a cluster are as they were. In the same way beside etcd, four rounds: 1.42, 1.65 and 1.67 times the puts with
  64, 256 and 1,000 clients, 1.80 spread; 0.60 of the CPU with 256, 0.53 spread; p99 1.03, 0.72, 1.15 and 0.72 of etcd's.
- **Gets** are gRPC's: a bare call costs a server 13 to 16 µs of CPU. Two searches of Pebble were a quarter of a get until what was read lately was
  remembered: in turns on a slow machine, six rounds, linearizable gets came from 21,400 to 25,100 a second (60 to 51 µs of CPU), serializable ones from 33,100 to 40,700
  (38 to 31). A round in which the leader asks a majority serves some 30 reads there, and costs what it does in switches of threads: fewer and larger rounds,
  by letting the client ask again or more often give way, cost as much as they spared.
- **etcd's version** matters. Beside Debian's etcd 3.4.23, three rounds on the day of the tables, pmmc did 1.7, 1.7 and 1.4 times the puts with 64, 256 and 1,000
  clients (p99 0.72, 0.64, 0.78; CPU 0.64), 1.6 spread, 1.03 with one client, 3.2 times the linearizable gets and 3.8 times the serializable ones.
- **The library** writes each decree once to each other node, in its p2a, which is encoded once for all; decisions only name it. What is left of copies are
  those of gRPC's frames and of the kernel.
- **Long operations** wait for the disk: each is in three journals, which came to 80 to 95 MiB a second together on the day of the tables (256 KiB, 1 MiB), and
  to 440 to 480 on the quiet machine (589 and 161 operations a second).
- **Several nodes in one process**, as the library is measured, wait for each other's fsyncs: a thread in a system call keeps its place in Go's
  scheduler for up to 0.1 ms. With ` + "`GOMAXPROCS=4`" + ` on two processors pmmc does 42,000 operations a second with 64 proposers and 94,000 with
  256, etcd-io/raft 43,000 and 86,000, hashicorp/raft 23,000 and 53,000 (medians of three). For servers, a process each, it changes nothing.
  With one proposer that is most of what is left: the leader's fsync begins 15 µs after its p2a are queued for the others, and while it keeps its place they
  may leave 200 µs later. A journal that lets others run first, twice, before it writes gained 6 per cent with one proposer and 15 with 64 (fifty turns
  of 250 ms in one process), nothing with 256 and 1,024, and lost up to 10 with one client of a server, whose processes have no such neighbours: not kept.
- **Three nodes on one disk** take turns at its cache: with one writer an fsync takes 0.27 ms, with three 0.67 (a day on which the floor was 0.7 ms), so three fsyncs an
  operation are 1,450 operations a second at the most, of anybody. The kernel of these machines (6.18, ext4 without a journal) also writes a file's inode in
  each fdatasync after its time stamp has changed, which is every 4 ms: in 42 per cent of pmmc's fsyncs with one proposer, in 7 of the floor's, which come
  faster. (` + "`perf record`" + ` of block_rq_issue: 762 such writes in 1,820 fsyncs.) Tried in turns, and not kept: fsync through Linux AIO and an eventfd, so that no thread waits
  (0.87 of the rate with one proposer, 0.84 with 16, 0.93 with 256: a kernel thread more to wake); O_DIRECT with O_DSYNC (0.93 of an fsync's time, for a journal of whole blocks);
  sync_file_range and an fsync of another file, which spares the inode (0.85, but is no promise on other file systems).
- **A decree** costs the three nodes some 2.5 ms of CPU on such a day (and with other programs beside), and each put in it 70 µs: 3.0 ms with 7 puts in it, 4.4 with 22, 20 with 270. With 64 clients that is more
  than half of all. It is 15 switches of threads in each node, of which the hypervisor makes each dear (half of a follower's samples lie where interrupts are let in again), sysmon,
  and the fsyncs. Tried in turns, and not kept: decisions that wait up to 2 ms for the next p2a (1.02 of the rate with one proposer, 0.88 with 16, 0.99 with
  256; servers 1.03, 0.98, 0.98 with 1, 64 and 256 clients: nothing); all roles of a node on one goroutine (0.97 with one proposer, 0.85 with 16, 0.96 with 256).
- **Flooded**, nodes share the processors with a client that asks for twice what they can do, and is refused the
  rest: an open loop has one clock for all requests, and the client's calls have no timers. With grpc-go's client, which took half of the
  machine, throughput fell to 61 per cent, and a node that got no processor for 400 ms was taken for dead. It still is, where other
  programs take the processors: once in two minutes of an earlier day, not in those of the tables. A refusal costs the leader a sixth of what a put does (10 and 59 µs, on a machine three times as slow
  as this one, from the processes' time at 14,600 puts a second and, twice as many asked for, at 11,800 and 18,800 refusals), and the client more
  than a put (25 and 18): a third of the machine went into refusals, most of that in the client. (There, two minutes of it
  ran at 93 per cent of the peak: 15,900 puts a second of 17,000.) The memory is that of 4,096 requests under way and up to 20,000 that are being refused.

`
