cluster = "test"

node "a" {}

member "a" {
  id     = 0
  peer   = "127.0.0.1:7000"
  client = "127.0.0.1:7100"
}

member "b" {
  id     = 65536
  peer   = "127.0.0.1:7002"
  client = "127.0.0.1:7102"
}

member "c" {
  id     = 1.5
  peer   = "127.0.0.1:7003"
  client = "127.0.0.1:7103"
}

member "d" {
  id     = "four"
  peer   = "127.0.0.1:7004"
  client = "127.0.0.1:7104"
}

member "e" {
  id     = [5]
  peer   = "127.0.0.1:7005"
  client = "127.0.0.1:7105"
}

member "f" {
  id     = -1
  peer   = "127.0.0.1:7006"
  client = "127.0.0.1:7106"
}
