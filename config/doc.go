// Package config turns HCL files into a [Config] and complains, when it must, at
// the line, the column and the text that is wrong.
//
// There are two shapes. The file's (file.go) has expressions, each of which knows
// where it stands; the program's (config.go) has plain Go values. decoder goes from
// one to the other and reports everything it finds on the way, not only the first:
//
//	load.go     which files, and their syntax
//	decode.go   one expression → one value
//	sections.go one block → one struct, and what its arguments mean to each other
//	members.go  the members, and what they mean to each other
//	listen.go   where this node listens, and whether strangers could listen in
//	tls.go      certificates
//
// A quantity that has a unit is written with it ("100ms", "1.5MiB"); a bare number
// there is an error. reference.hcl has every argument with its default, samples has
// the three nodes with which to begin; tests hold both equal to [Default].
package config
