cluster = "test"

node "a" {}

member "a" {
	id	= 1
	peer	= [
		"127.0.0.1:7001",
	]
	client = "127.0.0.1:2379"
}
