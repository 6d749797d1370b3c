cluster = "test"

node {
}

member {
  id = 1
}
