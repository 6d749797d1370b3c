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

auto_compaction {
  mode      = "periodic"
  retention = "10"
}
