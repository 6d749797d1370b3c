// Package kv is the key-value state machine: etcd's v3 semantics over Pebble.
//
// What it guarantees:
//
//  1. Every operation has one result that depends on the operations before it and
//     on nothing else (S7). Malformed bytes have a result, too.
//  2. A revision is an effective command: a put, a deletion that deletes, or a
//     transaction that does either. Slots, no-ops and failures are none.
//  3. What is on disk is the state after some Commit, whole, and never older than
//     the last Flush. There is no log of its own beneath it: the decrees are in a
//     majority of journals.
//  4. A query reads one state, that of the last Commit before it, and waits for
//     nobody.
//  5. A watch is told of every change that it wants, once, in the order of their
//     revisions and each revision whole, or that it has ended because the history it
//     needs is gone. Nobody who writes waits for a watch.
//
// Less formally: Apply stages the effects of a slot in an indexed batch, Commit
// adds the node's records and the slot and makes one change of them, and readers
// take a Pebble snapshot. The keys are described in keys.go.
//
// Where etcd's code and its documentation differ, the documentation wins: a
// negative revision means the newest one inside a transaction, too, and a
// deletion up to "\x00" overlaps every put behind its key.
package kv
