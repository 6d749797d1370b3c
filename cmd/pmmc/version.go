package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print what this program was built from",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			info, ok := debug.ReadBuildInfo()
			if !ok {
				info = &debug.BuildInfo{}
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "pmmc %s\ngo %s %s/%s\netcd API %s\nprotoactor-go %s\n",
				describe(info), runtime.Version()[len("go"):], runtime.GOOS, runtime.GOARCH,
				dependency(info, "go.etcd.io/etcd/api/v3"), dependency(info, "github.com/asynkron/protoactor-go"))
			return err
		},
	}
}

// describe is the module's version, and the commit where that does not have it.
func describe(info *debug.BuildInfo) string {
	settings := make(map[string]string)
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	version := cmp.Or(info.Main.Version, "(unknown)")
	if revision := settings["vcs.revision"]; revision != "" {
		version += " commit " + revision[:min(12, len(revision))]
		if settings["vcs.modified"] == "true" {
			version += " with changes"
		}
	}
	return version
}

func dependency(info *debug.BuildInfo, path string) string {
	for _, m := range info.Deps {
		if m.Path == path {
			return m.Version
		}
	}
	return "(unknown)"
}
