node "beta" {
}

protocol {
  window = 64
}
