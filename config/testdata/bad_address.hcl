cluster = "test"

node "a" {}

member "a" {
  id     = 1
  peer   = "127.0.0.1"
  client = "http://127.0.0.1:2379"
}

member "b" {
  id     = 2
  peer   = "0.0.0.0:7002"
  client = ":7102"
}

member "c" {
  id     = 3
  peer   = 7003
  client = "127.0.0.1:70000"
}
