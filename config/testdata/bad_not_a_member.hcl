cluster = "test"

node "alpa" {
}

member "alpha" {
  id     = 1
  peer   = "127.0.0.1:7001"
  client = "127.0.0.1:7101"
}

member "beta" {
  id     = 2
  peer   = "127.0.0.1:7002"
  client = "127.0.0.1:7102"
}
