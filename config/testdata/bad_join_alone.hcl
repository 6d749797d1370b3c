cluster = "test"
join    = ["127.0.0.1:7001"]

node "delta" {}
