package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/hcl/v2"
	"github.com/spf13/cobra"

	"github.com/pmmc-go/pmmc/config"
)

func newConfig() *cobra.Command {
	return onlyChildren(&cobra.Command{
		Use:     "config",
		GroupID: "run",
		Short:   "Look at configurations",
	}, newConfigValidate())
}

func newConfigValidate() *cobra.Command {
	return &cobra.Command{
		Use:   "validate FILE|FOLDER",
		Short: "Tell what is wrong with a configuration, and where",
		Long: `Read a configuration as a node would, and tell what is wrong with it and where. A
folder stands for all of its files *.hcl. The exit code is 2 if anything is wrong.`,
		Example: "  pmmc config validate config/samples/alpha.hcl",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := loadConfig(args[0], c.ErrOrStderr())
			if err != nil {
				return err
			}
			if _, err := loadTLS(cfg, hclog.NewNullLogger()); err != nil {
				return badTLS(err, c.ErrOrStderr())
			}
			members := fmt.Sprintf("%d members", len(cfg.Members))
			if len(cfg.Join) > 0 {
				members = "joins " + strings.Join(cfg.Join, ",")
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "good: node %s of cluster %q, %s, data in %s\n",
				cfg.Node.Name, cfg.Cluster, members, cfg.Node.DataDir)
			return err
		},
	}
}

// configError is a configuration with diagnostics, which were printed.
type configError struct{ why error }

func (e *configError) Error() string { return e.why.Error() }

// loadConfig reads a configuration and prints what there is to say about it.
func loadConfig(path string, err io.Writer) (*config.Config, error) {
	cfg, diags := config.Load(path)
	if len(diags) > 0 {
		if err := config.WriteDiagnostics(err, diags); err != nil {
			return nil, err
		}
	}
	if diags.HasErrors() {
		return nil, &configError{diags}
	}
	return cfg, nil
}

// badTLS prints a complaint about what is in a configuration's files.
func badTLS(why error, err io.Writer) error {
	diags := hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Bad certificate", Detail: why.Error() + "."}}
	if err := config.WriteDiagnostics(err, diags); err != nil {
		return err
	}
	return &configError{why}
}
