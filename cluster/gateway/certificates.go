package gateway

import (
	"fmt"
	"time"

	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/certs"
)

const (
	// warnExpiry is how long before a certificate expires that is worth a warning: time for
	// who renews it to be away for two weeks.
	warnExpiry = 21 * 24 * time.Hour
	// certificatesPause is between two looks at the certificates.
	certificatesPause = time.Minute
)

// expiries are when the certificates expire that a node shows, zero without TLS.
type expiries struct{ peer, client time.Time }

// watchCertificates keeps what is known of them up to date. It reads files, so that nobody
// waits for it: a node whose disk hangs has to say so.
func (g *Gateway) watchCertificates() {
	again := time.NewTicker(certificatesPause)
	defer again.Stop()
	for {
		g.lookAtCertificates()
		select {
		case <-again.C:
		case <-g.life.Done():
			return
		}
	}
}

func (g *Gateway) lookAtCertificates() {
	g.expiries.Store(&expiries{peer: expiry(g.options.PeerTLS), client: expiry(g.options.TLS)})
}

// expiry is when the certificate of a source expires; zero if there is none.
func expiry(source certs.Source) time.Time {
	if source == nil {
		return time.Time{}
	}
	if all := source().Certificates; len(all) > 0 && all[0].Leaf != nil {
		return all[0].Leaf.NotAfter
	}
	return time.Time{}
}

// each calls f for those that there are.
func (e expiries) each(f func(who string, at time.Time)) {
	if !e.peer.IsZero() {
		f("peer", e.peer)
	}
	if !e.client.IsZero() {
		f("client", e.client)
	}
}

func (g *Gateway) certificateWarnings(now time.Time) (all []string) {
	g.expiries.Load().each(func(who string, at time.Time) {
		switch left := at.Sub(now); {
		case left <= 0:
			all = append(all, fmt.Sprintf("%s: its certificate for %ss has expired", g.options.Member, who))
		case left < warnExpiry:
			all = append(all, fmt.Sprintf("%s: its certificate for %ss expires in %s", g.options.Member, who, cluster.Age(left)))
		}
	})
	return all
}
