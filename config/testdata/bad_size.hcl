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
  batch_bytes  = 1048576
  chunk_bytes  = "64K"
  retain_bytes = "0.3KiB"
}

journal {
  segment_bytes = "4GiB"
}

limits {
  request_bytes = "17MiB"
}
