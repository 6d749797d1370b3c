cluster = "test"

node "a" {}

member "a" {
  id     = 1
  peer   = "127.0.0.1:7001"
  client = "127.0.0.1:7101"
  roles  = ["replica", "acceptr"]
}

member "b" {
  id     = 2
  peer   = "127.0.0.1:7002"
  client = "127.0.0.1:7102"
  roles  = []
}

member "c" {
  id     = 3
  peer   = "127.0.0.1:7003"
  client = "127.0.0.1:7103"
  roles  = "leader"
}

member "d" {
  id     = 4
  peer   = "127.0.0.1:7004"
  client = "127.0.0.1:7104"
  roles  = ["leader", "leader"]
}

member "e" {
  id     = 5
  peer   = "127.0.0.1:7005"
  client = "127.0.0.1:7105"
  roles  = [1]
}
