# What is not: /etc/pmmc/node.hcl, here on alpha.
node "alpha" {
  data_dir = "/var/lib/pmmc"
}
