cluster = "test"

node "a" {}

member "a" {
  id = 1
