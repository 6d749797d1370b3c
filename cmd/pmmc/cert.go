package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/pmmc-go/pmmc/cluster/certs"
)

const (
	day            = 24 * time.Hour
	authorityValid = 3650 * day
)

const certHelp = `Make the certificates of a cluster and of its clients, in a folder that you keep on a
machine of your own: "authority" once, then "member" for each node and "client" for
each client. Whatever else signs certificates is as good; docs/operations.md says
what has to be in them.

Nodes read their files again when these change. To renew a certificate, give the
same command again and copy the files. To replace the authorities:

  1. pmmc cert authority --next     and copy the two *-ca.pem to all machines
  2. pmmc cert member, client       again for each, and copy their folders
  3. pmmc cert authority --retire   and copy the two *-ca.pem to all machines`

// certFlags are those of all children of cert.
type certFlags struct {
	dir  string
	days int
}

// The authorities are apart, so that no client can pass for a member.
const (
	peerCA   = "peer-ca"
	clientCA = "client-ca"
)

func newCert() *cobra.Command {
	f := new(certFlags)
	c := onlyChildren(&cobra.Command{
		Use:     "cert",
		GroupID: "run",
		Short:   "Make certificates for a cluster and its clients",
		Long:    certHelp,
		Example: `  pmmc cert authority
  pmmc cert member alpha --host 10.0.0.1,alpha.example.com   # makes the folder alpha
  pmmc cert client operator`,
	}, newCertAuthority(f), newCertMember(f), newCertClient(f))
	c.PersistentFlags().StringVar(&f.dir, "dir", ".", "the folder in which the authorities are")
	c.PersistentFlags().IntVar(&f.days, "days", 365, "how long the certificate of a member or client is valid")
	return c
}

func newCertAuthority(f *certFlags) *cobra.Command {
	var next, retire bool
	c := &cobra.Command{
		Use:   "authority",
		Short: "Make the two authorities that sign certificates, of members and of clients",
		Long: `Make the two authorities: peer-ca signs what members show to each other, client-ca what
nodes and clients show to each other. Whoever has their keys, *-ca.key, can pass for
anyone: they belong on no node.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			for _, name := range []string{peerCA, clientCA} {
				path := filepath.Join(f.dir, name)
				if retire {
					if err := retireAuthority(path); err != nil {
						return err
					}
				} else if _, err := certs.NewAuthority(path, next, authorityValid); err != nil {
					return &hinted{err, "--next makes one that takes its place, and has both trusted until --retire."}
				}
				fmt.Fprintf(c.OutOrStdout(), "%s.pem\n", path)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&next, "next", false, "make those that take the place of the ones that are there; both are trusted until --retire")
	c.Flags().BoolVar(&retire, "retire", false, "trust those alone that --next made")
	c.MarkFlagsMutuallyExclusive("next", "retire")
	return c
}

func retireAuthority(path string) error {
	a, err := certs.OpenAuthority(path)
	if err != nil {
		return err
	}
	retired, err := a.Retire()
	if err == nil && !retired {
		return &hinted{fmt.Errorf("%s.pem: one authority is trusted, and there is none to retire", path), "`pmmc cert authority --next` makes its successor."}
	}
	return err
}

func newCertMember(f *certFlags) *cobra.Command {
	var hosts []string
	c := &cobra.Command{
		Use:   "member NAME",
		Short: "Make a folder with the certificates of a member",
		Long: `Make a folder with the name of a member, and in it what its node needs: peer.pem,
peer.key and peer-ca.pem for tls.peer, client.pem, client.key and client-ca.pem for
tls.client. Copy it to the machine.`,
		Example: "  pmmc cert member alpha --host 10.0.0.1,alpha.example.com",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.issue(c, peerCA, "peer", args[0], []string{args[0]}); err != nil {
				return err
			}
			return f.issue(c, clientCA, "client", args[0], append(hosts, "localhost", "127.0.0.1", "::1"))
		},
	}
	c.Flags().StringSliceVar(&hosts, "host", nil, "a name or address at which clients reach it, beside localhost; several with commas")
	if err := c.MarkFlagRequired("host"); err != nil {
		panic(err) // the flag is in the line above
	}
	return c
}

func newCertClient(f *certFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "client NAME",
		Short: "Make a folder with the certificate of a client",
		Long: `Make a folder with the name of a client, and in it what it needs: client.pem and
client.key, which it shows (--cert, --key), and client-ca.pem (--cacert).`,
		Example: "  pmmc cert client operator",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return f.issue(c, clientCA, "client", args[0], nil)
		},
	}
}

// issue writes one certificate and says so.
func (f *certFlags) issue(c *cobra.Command, authority, kind, name string, hosts []string) error {
	if name != filepath.Base(name) || name == "." || name == ".." {
		return &usageError{c, fmt.Errorf("%q cannot be the name of a folder", name)}
	}
	if f.days < 1 {
		return &usageError{c, errors.New("--days is at least 1")}
	}
	a, err := certs.OpenAuthority(filepath.Join(f.dir, authority))
	if err != nil {
		return &hinted{err, "`pmmc cert authority` makes it; --dir says where it is."}
	}
	dir := filepath.Join(f.dir, name)
	cert, err := a.Issue(certs.Subject{Name: name, Hosts: hosts, Valid: time.Duration(f.days) * day}, dir, kind)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "%s.pem: valid until %s\n", filepath.Join(dir, kind), cert.NotAfter.Format(time.DateOnly))
	return err
}
