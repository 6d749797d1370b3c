cluster = "test"

node "a" {}

member "a" {
  id     = 1
  peer   = "127.0.0.1:7001"
  client = "127.0.0.1:7101"
}

member "rack/b" {
  id     = 2
  peer   = "127.0.0.1:7002"
  client = "127.0.0.1:7102"
}

member "C" {
  id     = 3
  peer   = "127.0.0.1:7003"
  client = "127.0.0.1:7103"
}

member "" {
  id     = 4
  peer   = "127.0.0.1:7004"
  client = "127.0.0.1:7104"
}

member "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" {
  id     = 5
  peer   = "127.0.0.1:7005"
  client = "127.0.0.1:7105"
}
