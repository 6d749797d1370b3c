cluster = "Test"

node "n4" {
  log_level = "inf"
}

member "n1" {
  id     = 1
  peer   = "10.0.0.1"
  client = "10.0.0.1:2379"
}

member "n2" {
  id     = 1
  peer   = "10.0.0.2:7000"
  client = "10.0.0.2:2379"
  rolls  = ["leader"]
}

protocol {
  resend      = 50
  batch_bytes = "64K"
}

limit {
  txn_ops = 10
}
