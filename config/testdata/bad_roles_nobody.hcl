cluster = "test"

node "a" {}

member "a" {
  id     = 1
  peer   = "127.0.0.1:7001"
  client = "127.0.0.1:7101"
  roles  = ["replica"]
}

member "b" {
  id     = 2
  peer   = "127.0.0.1:7002"
  client = "127.0.0.1:7102"
  roles  = ["replica"]
}
