# Every argument of a node's configuration. What is set here is the default, except
# for what has none and says so: this is the sample cluster's node alpha. A test
# holds this file equal to the program, so what it says is true.
#
# A configuration is one file, or a folder whose *.hcl files are read as if they
# were one: a members.hcl that is the same on all machines and a node.hcl that is
# not, say. Only the cluster, the node and the members must be there; any other
# argument or block can be left out.
#
# Durations are written with a unit (ms, s, m, h: "250ms", "1m30s"), and so are
# sizes (B, KiB, MiB, GiB: "64KiB", "1.5MiB"). A number without a unit is refused
# where one is needed. Paths are relative to the working directory.
#
# Anywhere a value may come from the environment: env("PMMC_DATA", "/var/lib/pmmc")
# is the variable PMMC_DATA, or what follows when it isn't set. Without the second
# part the variable must be set.
#
# A node reads its configuration again upon SIGHUP. Where it says so below, what is then
# written there counts at once; all else takes a new start, and is named in the log.

# The name of the cluster: 1 to 63 of a-z, 0-9 and -. It has no default. Nodes of
# different clusters refuse each other, so give each cluster a name of its own, and
# never change it: a data directory belongs to one cluster.
cluster = "sample"

# For a node that is to be added to a running cluster: the peer addresses of some of
# its members. The only member block is then the node's own, without id and roles:
# the cluster gives it those. The node waits until it is added, by `pmmc member add`.
# Once it has been, its data directory knows the members, and this may stay or go.
join = []

# Which of the members below this process is. It has no default.
node "alpha" {
  # The folder in which this node keeps all that it must not forget. It belongs to
  # this member alone. Unless it is given it is "data/" and the node's name. Change
  # it to put the data on a disk that completes an fsync fast: a write by a client
  # takes at least as long. Nobody but the user who runs the node may enter it: it is
  # closed to others, and refused if it is somebody else's.
  data_dir = "data/alpha"

  # What is logged, from the most to the least: trace, debug, info, warn, error,
  # off. At info a node speaks when something changes: an election, a lost peer. It
  # changes upon SIGHUP, unless --log-level was given.
  log_level = "info"

  # How it is logged: text is for people, json for programs, one object a line.
  log_format = "text"

  # Whether plaintext is wanted where it leaves the machine. Without TLS whoever is
  # on the way can read and change what peers and clients say, so a node that
  # listens in plaintext at anything but a loopback address, or has such peers,
  # starts only if this is true. Set it where the network itself is trusted.
  insecure = false
}

# Where this node listens. Change it where the address at which others find this
# node is not one that it can listen at: behind address translation, or in a
# container, where "0.0.0.0:7001" or ":7001" is right.
listen {
  # For the other members, as host:port. Unless it is given it is the member's own
  # peer address.
  peer = "127.0.0.1:7001"

  # For clients, which speak etcd's v3 API, as host:port. Unless it is given it is
  # the member's own client address.
  client = "127.0.0.1:2379"

  # For /health, /metrics, the page of the cluster at / and etcd's JSON gateway under
  # /v3/, as host:port, or "off" for none. With a block tls { client { … } } it is https
  # with the same certificate; a client needs one for the page and /v3/ where it needs one
  # at the client address, and none for the others. Give each of several nodes on one
  # machine its own.
  http = "127.0.0.1:2380"
}

# The members of the cluster, one block each, the same on all nodes: nodes that differ in
# names, ids, peers or roles do not speak with each other. Names, ids and
# addresses are distinct. A cluster goes on while a majority of its acceptors, and
# one replica and one leader, are up: three members survive the loss of any one,
# five that of any two.
member "alpha" {
  # The member's number, 1 to 65535. It has no default. It orders ballots, and the
  # data directory remembers it: never change it, and never give it to another
  # machine.
  id = 1

  # Where the other members find it, as host:port. It has no default.
  peer = "127.0.0.1:7001"

  # Where clients find it, as host:port. It has no default.
  client = "127.0.0.1:2379"

  # What it does of the paper. A replica executes commands and holds the state, a
  # leader has them decided, an acceptor remembers what was decided. Take the first
  # two away for a witness, which needs little memory and disk and makes a majority
  # all the same. Each role needs one member at least.
  roles = ["replica", "leader", "acceptor"]
}

member "beta" {
  id     = 2
  peer   = "127.0.0.1:7002"
  client = "127.0.0.1:2389"
}

member "gamma" {
  id     = 3
  peer   = "127.0.0.1:7003"
  client = "127.0.0.1:2399"
}

# Certificates, as paths of PEM files that must be there when the node starts, and are
# read again when they change: to renew one takes no restart. `pmmc cert` makes them.
# Without a block there is plaintext, which is the default.
#tls {
#  # Between members, in both directions. All three are needed.
#  peer {
#    # This member's certificate, for servers and for clients. It is tied to the
#    # member's name, so each member has its own.
#    cert = "tls/peer.pem"
#
#    # The certificate's key. Nobody but the node should be able to read it.
#    key = "tls/peer.key"
#
#    # The authorities that sign members' certificates. Use one that signs nothing
#    # else: whoever has a certificate of it may speak as a member.
#    ca = "tls/peer-ca.pem"
#  }
#
#  # For clients, and for http.
#  client {
#    # What this node shows to clients. It is good for the host of the client
#    # address.
#    cert = "tls/client.pem"
#
#    # The certificate's key.
#    key = "tls/client.key"
#
#    # The authorities that sign clients' certificates. It is needed unless
#    # client_auth is false.
#    ca = "tls/client-ca.pem"
#
#    # Whether a client must show a certificate. Set it to false where clients are
#    # told apart by other means, and only encryption is wanted.
#    client_auth = true
#  }
#}

# The paper's parameters, and those that make it moderately complex. The defaults
# suit three nodes in one data centre and do no harm on one machine.
protocol {
  # WINDOW of the paper, in slots: a replica proposes for no slot that is so far
  # beyond the last one executed. It bounds what a node holds in memory, and after
  # how many slots a new configuration takes effect. The same on all nodes.
  window = 128

  # How many slots one replica has in flight before requests wait for the next
  # batch, at most the window. Raise it where the way between nodes is long and
  # wide: a round trip then has more slots in it.
  pipeline = 8

  # How many commands go into one slot at the most. Batches grow with load by
  # themselves, and nobody waits for one to fill, so there is rarely a reason to
  # change it.
  batch_commands = 4096

  # How many bytes of commands go into one slot at the most, from 1KiB to 16MiB.
  # One command may be longer (see request_bytes) and then goes alone. Lower it
  # where a long slot in front of a short one is felt.
  batch_bytes = "1MiB"

  # How many bytes of a snapshot, or of decrees that somebody missed, go into one
  # message, from 4KiB to 16MiB. Lower it where what is sent to one who catches up
  # slows what is new.
  chunk_bytes = "256KiB"

  # How often a leader shows that it is in office, and looks whether another one
  # is. Less than timeout_min. Raise it, and the time-outs with it, where nodes are
  # far from each other: about the time of a round trip is right.
  ping = "50ms"

  # How long nothing must be heard from the leader in office before another one
  # runs. It adapts to what happens, and begins with this. A dead leader is replaced
  # after about so long: lower is faster, and wrong more often.
  timeout = "400ms"

  # What it does not shrink below. More than ping; some round trips are right.
  timeout_min = "300ms"

  # What it does not grow above, however often leaders push each other out.
  timeout_max = "5s"

  # By what it grows when two leaders run at once and one pushes the other out, or when
  # a run was too slow for the network: a number above 1, at most 10.
  timeout_factor = 2

  # By how much it shrinks with each decision: much less than it grows by, so that a
  # quiet time does not undo at once what was learned in a bad one. While a leader is in
  # office it also returns to timeout, by half in 180 pings.
  timeout_step = "1ms"

  # How long a question to acceptors stays without an answer before it is asked
  # again; then twice as long, up to eight times. Decrees of up to 4 KiB are sent again
  # after half of it. Above a round trip with an fsync in it, or everything is said twice.
  resend = "100ms"

  # How long a leader in office waits for its own disk. When the disk has completed no
  # write for so long, the leader gives up the office, and nobody whose disk hangs runs
  # for it. Above the longest that the disk takes when it is well: then leadership moves
  # where it was not needed. At least four times ping.
  disk_timeout = "2s"

  # For how long, after each sign of life of the leader in office, a majority of the
  # acceptors keeps any other out, or "off". With a lease, reads need no round trip to
  # the acceptors; but while a clock drifts by more than clock_drift, a read may be
  # stale. Without one reads are fresh whatever the clocks do. More than ping, and not
  # more than timeout_min. The same on all members. To move the office the leader gives its
  # lease up; if nobody takes over, its reads need round trips until the next election.
  lease = "off"

  # By how much the clock of any member may be too fast or too slow, as a part of 1, for
  # leases to be safe: 0 to 0.5. Real clocks drift by less than 0.001.
  clock_drift = 0.05

  # How often a replica looks at what it misses (a decision, an answer to a read, a
  # leader that heard its proposal) and says how far it is.
  catch_up = "50ms"

  # How long a new member must have kept up with the others before it becomes a leader
  # and an acceptor by itself, or "off": then it stays a learner, which only executes,
  # until `pmmc member promote`. It never becomes one while it lags. The same on all
  # members.
  auto_promote = "3s"

  # How often the state machine is made durable. Acceptors may forget what most
  # replicas have on disk, so a longer time means a longer journal and a longer
  # start after a crash, and fewer, larger writes. No acknowledged write is lost,
  # however long it is.
  flush = "2s"

  # How many slots acceptors keep for those who lag, though they could forget them.
  # Who is further behind gets a snapshot of everything instead. Raise it where
  # nodes are away for long and the state is large.
  retain_slots = 10000

  # How many bytes of decrees are kept for that at the most, in the journal: slots
  # beyond that go, however few there are. A few MiB of them are in memory, too.
  retain_bytes = "64MiB"
}

# The log in which acceptors keep what they promised, and leaders which ballots
# they used.
journal {
  # How long a file of the log is, from 64KiB to 1GiB. Space is given back by whole
  # files. Lower it where disk is scarce; a few seconds' worth of writes is right.
  segment_bytes = "16MiB"
}

# What clients can ask of this node. What is beyond is refused with etcd's errors.
limits {
  # How long one request may be, from 1KiB to 16MiB. The same on all nodes.
  request_bytes = "1.5MiB"

  # How many operations one transaction may have. The same on all nodes. It changes upon
  # SIGHUP.
  txn_ops = 128

  # How many requests are served at a time; more are refused as ResourceExhausted.
  # Together with request_bytes it bounds what clients can make a node hold.
  in_flight = 4096

  # How many bytes the writes being served may hold together; more are refused as
  # ResourceExhausted. At least request_bytes. Lower it where memory is short. It changes
  # upon SIGHUP.
  in_flight_bytes = "256MiB"

  # How much this node's database may take, from 1MiB to 8192GiB; "0B" is the default.
  # Where a node has no more room for a write, it raises the alarm NOSPACE, and no node
  # takes puts until history is compacted and keys are deleted, which goes on; the alarm
  # ends by itself when 10 % are free again. What counts is what the state takes; files
  # that are being replaced come on top, so let the disk have twice as much. etcd's name
  # for it is --quota-backend-bytes. It changes upon SIGHUP.
  quota = "2GiB"

  # How much room this node's disk should have, at most 1024GiB; a tenth of a small disk is
  # enough. Where it has less, the node says so. While a majority has more, nothing else happens: one that is full waits,
  # and the others go on without it. Otherwise the alarm NOSPACE is raised, before disks
  # are full, and ends by itself when there is room again. Raise it where others write
  # much to the same disk; it should hold some journal files, and some seconds of writes.
  disk_reserve = "128MiB"

  # How often all files of the data directory are read again, at 16 MiB a second, and their
  # checksums compared, or "off". The first time is soon after the start. A damaged file
  # that nobody reads would otherwise be found on the day on which it is needed.
  check_every = "24h"

  # How many connections of clients are open at a time; the next one is closed at
  # once. A client needs one, however many requests it has under way. It changes upon
  # SIGHUP; those that are open stay.
  connections = 8192

  # How long a request is served at the most, and less if its client says so. More
  # than the time in which a leader is replaced. It changes upon SIGHUP.
  request_timeout = "7s"

  # How long a node that is told to end takes to do so cleanly, at the most. Then it
  # ends at once, which loses nothing but makes the next start longer. It changes upon
  # SIGHUP.
  shutdown_timeout = "10s"
}

# What history goes by itself, as with etcd's --auto-compaction-mode and -retention. The
# node in office has it compacted; the same on all nodes.
auto_compaction {
  # "off": history stays until somebody compacts it. "periodic": it is kept for as long
  # as retention says, such as "1h", and compacted every so often, but at least every
  # hour. "revision": so many revisions are kept as retention says, such as 10000, and
  # the others compacted every five minutes.
  mode = "off"

  # How long, or how many. The newest version of a key that lives is always kept.
#  retention = "1h"
}
