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
  ping        = 50
  timeout     = "250"
  timeout_min = "-1s"
  timeout_max = "5 s"
  resend      = "0s"
  catch_up    = "1us"
  flush       = "1d"
  timeout_step = true
}
