cluster = "test"

node "a" {}

listen {
  http = ":2380"
}

member "a" {
  id     = 1
  peer   = "10.0.0.1:7001"
  client = "node-a:2379"
}

member "b" {
  id     = 2
  peer   = "10.0.0.2:7001"
  client = "node-b:2379"
}
