package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/pmmc-go/pmmc/config"
)

// clientFlags are those of the commands that talk to a cluster.
type clientFlags struct {
	endpoints []string
	timeout   time.Duration
	tls       tlsFlags
	changes   bool // what is asked for changes something
}

// addTo gives a command the flags. How long it waits differs between commands.
func (f *clientFlags) addTo(c *cobra.Command, timeout time.Duration) {
	c.GroupID = "ask"
	flags := c.Flags()
	flags.StringSliceVar(&f.endpoints, "endpoints", sampleEndpoints(), "the nodes' client addresses, as host:port")
	flags.DurationVar(&f.timeout, "timeout", timeout, "how long to wait for an answer")
	flags.StringVar(&f.tls.ca, "cacert", "", "speak TLS with nodes whose certificate this authority signed (a PEM file)")
	flags.StringVar(&f.tls.cert, "cert", "", "the certificate to show to a node (a PEM file)")
	flags.StringVar(&f.tls.key, "key", "", "the certificate's key (a PEM file)")
}

// sampleEndpoints are the client addresses of the sample cluster.
func sampleEndpoints() []string {
	var endpoints []string
	for _, c := range config.Samples() {
		endpoints = append(endpoints, c.Listen.Client)
	}
	return endpoints
}

// check refuses what cannot work.
func (f *clientFlags) check() error {
	if f.timeout <= 0 {
		return fmt.Errorf("--timeout is %s: want more than nothing, such as 5s", f.timeout)
	}
	if len(f.endpoints) == 0 {
		return errors.New("--endpoints is empty: want one at least, such as 127.0.0.1:2379")
	}
	for _, e := range f.endpoints {
		host := strings.TrimPrefix(strings.TrimPrefix(e, "http://"), "https://")
		if _, port, err := net.SplitHostPort(host); err != nil || port == "" {
			return fmt.Errorf("--endpoints has %q: want host:port, such as 127.0.0.1:2379", e)
		}
	}
	return nil
}

// do connects to the cluster and asks it something.
func (f *clientFlags) do(c *cobra.Command, ask func(context.Context, *clientv3.Client) error) error {
	client, err := f.connect(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context(), f.timeout)
	defer cancel()
	err = f.explain(ctx, ask(ctx, client))
	return errors.Join(err, client.Close())
}

// connect makes a client of the cluster.
func (f *clientFlags) connect(c *cobra.Command) (*clientv3.Client, error) {
	if err := f.check(); err != nil {
		return nil, &usageError{c, err}
	}
	secure, err := f.tls.load()
	if err != nil {
		return nil, &usageError{c, err}
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints: f.endpoints, TLS: secure, Logger: zap.NewNop(),
		MaxCallSendMsgSize: maxMessage, MaxCallRecvMsgSize: maxMessage,
	})
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", strings.Join(f.endpoints, ","), err)
	}
	return client, nil
}

// dial makes a connection to one node, without what etcd's client does beyond that.
func dial(endpoint string, secure *tls.Config, options ...grpc.DialOption) (*grpc.ClientConn, error) {
	address, secure := target(endpoint, secure)
	creds := insecure.NewCredentials()
	if secure != nil {
		creds = credentials.NewTLS(secure)
	}
	return grpc.NewClient(address, append(options, grpc.WithTransportCredentials(creds))...)
}

// target is an endpoint's address, and how to speak TLS with it; nil is plaintext.
func target(endpoint string, secure *tls.Config) (string, *tls.Config) {
	if strings.HasPrefix(endpoint, "https://") && secure == nil {
		secure = &tls.Config{MinVersion: tls.VersionTLS13}
	}
	return strings.TrimPrefix(strings.TrimPrefix(endpoint, "http://"), "https://"), secure
}

// maxMessage is how long a message of the client may be; the node has a limit of
// its own, and says so.
const maxMessage = 64 << 20

// readInput reads the standard input, until a signal.
func readInput(c *cobra.Command, read func(io.Reader) ([]byte, error)) (string, error) {
	type input struct {
		text []byte
		err  error
	}
	inputs := make(chan input, 1)
	go func() { // nothing ends it but the input or the process
		text, err := read(io.LimitReader(c.InOrStdin(), maxMessage))
		inputs <- input{text, err}
	}()
	select {
	case <-c.Context().Done():
		return "", fmt.Errorf("%w: nothing was done", context.Cause(c.Context()))
	case in := <-inputs:
		if in.err != nil {
			return "", fmt.Errorf("read the standard input: %w", in.err)
		}
		return string(in.text), nil
	}
}

// explain says what an error of the client means.
func (f *clientFlags) explain(ctx context.Context, err error) error {
	var etcd rpctypes.EtcdError
	var stopped *signalError
	code := status.Code(err)
	if errors.As(err, &etcd) {
		code = etcd.Code()
	}
	switch {
	case err == nil:
		return nil
	case errors.As(context.Cause(ctx), &stopped):
		return fmt.Errorf("%s: gave up%s", stopped, f.doubt())
	case errors.Is(err, context.DeadlineExceeded), ctx.Err() != nil, code == codes.DeadlineExceeded && !errors.As(err, &etcd):
		return &hinted{fmt.Errorf("no answer from %s within %s%s", strings.Join(f.endpoints, ","), f.timeout, f.doubt()),
			"`pmmc status` shows which nodes can be reached, and who is in office."}
	case code == codes.Unavailable && !errors.As(err, &etcd):
		return &hinted{fmt.Errorf("cannot reach %s: %s", strings.Join(f.endpoints, ","), status.Convert(err).Message()), whyUnreached}
	}
	return err
}

// answered is the status that an error carries, without the words of those who passed it on.
func answered(err error) *status.Status {
	var s interface{ GRPCStatus() *status.Status }
	if errors.As(err, &s) {
		return s.GRPCStatus()
	}
	return status.Convert(err)
}

// doubt is what is not known when no answer came.
func (f *clientFlags) doubt() string {
	if f.changes {
		return "; it may have been done or not"
	}
	return ""
}
