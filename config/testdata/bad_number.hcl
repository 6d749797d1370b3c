cluster = "test"

node "a" {}

member "a" {
  id     = 1
  peer   = "127.0.0.1:7001"
  client = "127.0.0.1:7101"
}

member "b" {
  id     = 2
  peer   = "127.0.0.1:7002"
  client = "127.0.0.1:7102"
}

member "c" {
  id     = 3
  peer   = "127.0.0.1:7003"
  client = "127.0.0.1:7103"
}

protocol {
  window         = 0
  pipeline       = -1
  batch_commands = "many"
  timeout_factor = 1
  retain_slots   = 1e999
}

limits {
  txn_ops   = 1.5
  in_flight = "4Ki"
}
