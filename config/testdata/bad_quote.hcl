cluster = "sample
node "a" {
 data_dir = "x"
}
member "a" {
 id = 1
 peer = "127.0.0.1:1"
}
