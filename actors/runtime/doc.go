// Package runtime runs the roles of package actors as protoactor processes. It is
// the only code that knows both sides.
//
// Each instance of a role is one protoactor actor, in one shell. The shell is the
// role's Env; it guarantees
//
//  1. the disk barrier: what a role sends or spawns after it persisted a record
//     takes effect only when the record is on disk, first in, first out (S1, S2);
//  2. that no restart is blank: a role that panics comes back as Tree says;
//  3. that a timer of an earlier life is not heard in a later one.
//
// The tree of a node:
//
//	node                              ends the node when a child fails too often
//	├── identity                      makes the node known to its peers; not a role
//	├── client                        answers those who called this node; not a role
//	├── replica                       Fig. 1
//	└── epoch-<e>                     one configuration
//	    ├── acceptor                  Fig. 4
//	    └── leader                    Fig. 7
//	        ├── scout-<round>         Fig. 6(b), one per attempt
//	        └── commander-<round>-<slot>  Fig. 6(a), one per slot in flight
package runtime
