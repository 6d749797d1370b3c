package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/pmmc-go/pmmc/cluster"
)

// printStatus shows a table of all nodes and, below it, what is not as it should be.
func printStatus(w io.Writer, nodes []nodeStatus) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	const columns = "ENDPOINT\tREACHABLE\tNODE\tROLES\tBALLOT\tLEADER\tOFFICE\tSINCE\tSLOT_IN\tSLOT_OUT\tLAG\tWRITES/S\tFSYNC\tJOURNAL\tDATABASE\tUP\tPID"
	fmt.Fprintln(table, columns)
	for _, n := range nodes {
		if !n.Reachable {
			// A row without all cells would end the table's columns.
			fmt.Fprintf(table, "%s\tno%s  %s\n", n.Endpoint, strings.Repeat("\t-", strings.Count(columns, "\t")-1), n.Error)
			continue
		}
		var roles string
		for _, r := range n.Roles {
			roles += r[:1]
		}
		fmt.Fprintln(table, strings.Join([]string{
			n.Endpoint, "yes", n.Node, roles, orDash(n.Ballot), orDash(n.Leader), orDash(n.Office), age(n.OfficeAge),
			strconv.FormatUint(n.SlotIn, 10), strconv.FormatUint(n.SlotOut, 10), strconv.FormatUint(n.Lag, 10),
			strconv.FormatFloat(n.Rates.Commands, 'f', 0, 64), age(n.Rates.SyncMean),
			size(n.JournalBytes), size(n.DatabaseBytes), age(n.Up), strconv.FormatInt(n.PID, 10),
		}, "\t"))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, text := range warnings(nodes) {
		if _, err := fmt.Fprintln(w, "warning:", text); err != nil {
			return err
		}
	}
	return nil
}

// warnings are those of all nodes, each once, and what shows only when nodes are compared.
func warnings(nodes []nodeStatus) []string {
	var all []string
	var inOffice []string
	offices, versions := make(map[string][]string), make(map[string][]string)
	for _, n := range nodes {
		if !n.Reachable {
			all = append(all, n.Endpoint+" cannot be reached: "+n.Error)
			continue
		}
		if n.Leader == "active" {
			inOffice = append(inOffice, n.Node)
		}
		if n.Office != "" {
			offices[n.Office] = append(offices[n.Office], n.Node)
		}
		versions[n.Version] = append(versions[n.Version], n.Node)
	}
	switch {
	case len(inOffice) > 1:
		all = append(all, strings.Join(inOffice, " and ")+" take themselves to be in office: one of them is about to hear that it is not")
	case len(offices) > 1:
		all = append(all, "nodes differ on who is in office: "+byWhom(offices))
	}
	if len(versions) > 1 {
		all = append(all, "versions differ: "+byWhom(versions))
	}
	for _, n := range nodes {
		if n.Reachable {
			all = append(all, n.Warnings...)
		}
	}
	seen := make(map[string]bool)
	return slices.DeleteFunc(all, func(text string) bool {
		was := seen[text]
		seen[text] = true
		return was
	})
}

// byWhom lists what nodes say.
func byWhom(said map[string][]string) string {
	var all []string
	for _, what := range slices.Sorted(maps.Keys(said)) {
		all = append(all, fmt.Sprintf("%s (%s)", orDash(what), strings.Join(said[what], ", ")))
	}
	return strings.Join(all, ", ")
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// age shows seconds as people do.
func age(seconds float64) string {
	if seconds <= 0 {
		return "-"
	}
	d := time.Duration(seconds * float64(time.Second))
	if d < time.Millisecond {
		return d.Round(10 * time.Microsecond).String()
	}
	return cluster.Age(d)
}

// size shows bytes as people do.
func size(bytes int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	n, unit := float64(bytes), 0
	for n >= 1024 && unit < len(units)-1 {
		n, unit = n/1024, unit+1
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", bytes)
	}
	return fmt.Sprintf("%.1f %s", n, units[unit])
}
