node "a lock of an editor" {
