cluster = "test"

member "gamma" {
  id     = 3
  peer   = "127.0.0.1:7003"
  client = "127.0.0.1:2399"
  roles  = ["acceptor"]
}

member "alpha" {
  id     = 1
  peer   = "127.0.0.1:7001"
  client = "127.0.0.1:2379"
  roles  = ["acceptor", "replica"]
}

member "beta" {
  id     = 2
  peer   = "127.0.0.1:7002"
  client = "127.0.0.1:2389"
}
