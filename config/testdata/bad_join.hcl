cluster = "test"
join    = ["127.0.0.1:7001", "127.0.0.1", "127.0.0.1:7001", ":7002", 7003, "127.0.0.1:7004"]

node "delta" {}

member "delta" {
  id     = 4
  peer   = "127.0.0.1:7004"
  client = "127.0.0.1:7004"
  roles  = ["replica"]
}

member "alpha" {
  id     = 1
  peer   = "127.0.0.1:7001"
  client = "127.0.0.1:2379"
}
