cluster = "test"

member "b" {
  id     = 1
  peer   = "127.0.0.1:7001"
  client = "127.0.0.1:7101"
}

protocol {
  window = -1
}
