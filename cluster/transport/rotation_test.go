package transport

import (
	"crypto/tls"
	"testing"

	"google.golang.org/grpc/credentials"

	"github.com/pmmc-go/pmmc/cluster/certs"
	"github.com/pmmc-go/pmmc/cluster/transport/testcert"
)

// watch makes a node read its certificates from files, again when they change.
func watch(t *testing.T, authority *testcert.Authority, dir, name string) func(*Options) {
	t.Helper()
	cert, key, ca := authority.Files(dir, name)
	return func(o *Options) {
		source, err := certs.Watch(certs.Files{Cert: cert, Key: key, CA: ca, Member: name}, o.Logger)
		if err != nil {
			t.Fatal(err)
		}
		o.TLS = source
	}
}

// An authority takes the place of another one while nodes run: connections stay, and who
// comes anew shows, and wants to see, what the files hold then.
func TestAuthorityIsReplacedWhileNodesRun(t *testing.T) {
	old, next := testcert.New(t), testcert.New(t)
	peers, dirs := addresses(t, "alpha", "beta"), map[string]string{"alpha": t.TempDir(), "beta": t.TempDir()}
	alpha := startNode(t, "alpha", peers, watch(t, old, dirs["alpha"], "alpha"))
	beta := startNode(t, "beta", peers, watch(t, old, dirs["beta"], "beta"))
	alpha.connected("beta")
	for name, dir := range dirs {
		old.Bundle(dir, next)
		next.Files(dir, name)
		next.Bundle(dir, old)
	}
	alpha.say(beta.Address(), catchUp("alpha", 1)) // on the connection that stands
	beta.hears(1)

	beta.Kill()
	eventually(t, "beta is missed", func() bool { return !alpha.Stats().Peers["beta"].Connected })
	beta = startNode(t, "beta", peers, watch(t, next, dirs["beta"], "beta"))
	next.Bundle(dirs["alpha"])
	alpha.connected("beta")
	beta.connected("alpha")
	alpha.say(beta.Address(), catchUp("alpha", 2))
	beta.hears(2)

	late := old.TLS("beta")
	late.RootCAs, late.ServerName = next.TLS().RootCAs, "alpha"
	s := alpha.stranger(credentials.NewTLS(late))
	eventually(t, "the old authority's word counts no more", func() bool { return alpha.Stats().Refused[RefusedHandshake] > 0 })
	s.close()
}

// Peers speak TLS 1.3 or not at all.
func TestOldTLSIsRefused(t *testing.T) {
	ca := testcert.New(t)
	config := ca.TLS("alpha")
	config.MinVersion = 0 // which is 1.2
	n, _ := alone(t, func(o *Options) { o.TLS = certs.Fixed(config) })
	for version, want := range map[uint16]bool{tls.VersionTLS12: false, tls.VersionTLS13: true} {
		c := ca.TLS("beta")
		c.ServerName, c.MinVersion, c.MaxVersion, c.NextProtos = "alpha", tls.VersionTLS12, version, []string{"h2"}
		conn, err := tls.Dial("tcp", n.Address(), c)
		if (err == nil) != want {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		if err == nil {
			_ = conn.Close() // it was only to be opened
		}
	}
}
