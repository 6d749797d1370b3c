cluster = "test"

node "a" {}
