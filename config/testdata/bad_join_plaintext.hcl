cluster = "test"
join    = ["127.0.0.1:7001", "10.0.0.1:7001"]

node "delta" {}

member "delta" {
  peer   = "127.0.0.1:7004"
  client = "127.0.0.1:2409"
}
