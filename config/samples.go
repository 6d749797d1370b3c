package config

import (
	"embed"
	"fmt"
)

//go:embed samples/*.hcl
var samples embed.FS

// Samples returns the configurations of the sample cluster's nodes, alpha, beta
// and gamma: three on one machine.
func Samples() []*Config {
	var configs []*Config
	for _, name := range []string{"alpha", "beta", "gamma"} {
		file := "samples/" + name + ".hcl"
		text, err := samples.ReadFile(file)
		if err != nil {
			panic(fmt.Sprintf("config: embedded %s: %v", file, err))
		}
		config, diags := decode(file, []source{{file, text}})
		if diags.HasErrors() {
			panic(fmt.Sprintf("config: embedded %v", diags))
		}
		configs = append(configs, config)
	}
	return configs
}
