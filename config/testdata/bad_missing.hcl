cluster = "test"

node "a" {}

member "a" {
  peer = null
}
