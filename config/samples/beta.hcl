# Node beta of the sample cluster: pmmc node --config config/samples/beta.hcl
cluster = "sample"

node "beta" {}

listen {
  http = "127.0.0.1:2390"
}

member "alpha" {
  id     = 1
  peer   = "127.0.0.1:7001"
  client = "127.0.0.1:2379"
}

member "beta" {
  id     = 2
  peer   = "127.0.0.1:7002"
  client = "127.0.0.1:2389"
}

member "gamma" {
  id     = 3
  peer   = "127.0.0.1:7003"
  client = "127.0.0.1:2399"
}
