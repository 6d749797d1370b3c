# What is the same on the three machines: /etc/pmmc/cluster.hcl.
cluster = "shop"

member "alpha" {
  id     = 1
  peer   = "10.0.0.1:7001"
  client = "10.0.0.1:2379"
}

member "beta" {
  id     = 2
  peer   = "10.0.0.2:7001"
  client = "10.0.0.2:2379"
}

member "gamma" {
  id     = 3
  peer   = "10.0.0.3:7001"
  client = "10.0.0.3:2379"
}

# The member's address and, for `pmmc` and etcdctl on the machine itself, loopback.
# In a container with a network of its own add peer = ":7001".
listen {
  client = ":2379"
  http   = ":2380"
}

# The folder that `pmmc cert member` makes.
tls {
  peer {
    cert = "/etc/pmmc/tls/peer.pem"
    key  = "/etc/pmmc/tls/peer.key"
    ca   = "/etc/pmmc/tls/peer-ca.pem"
  }
  client {
    cert = "/etc/pmmc/tls/client.pem"
    key  = "/etc/pmmc/tls/client.key"
    ca   = "/etc/pmmc/tls/client-ca.pem"
  }
}
