// Package thalwegtest gives a Go test a Kinesis and Kafka server of its own, in the test's
// process and in memory: it starts in milliseconds, needs nothing installed, and
// is gone with the test.
package thalwegtest

import (
	"context"
	"testing"
	"time"

	"thalweg"
)

// Server is a running server and what a client needs to use it.
type Server struct {
	// Endpoint is the server's URL, TLSEndpoint the same under TLS. Clients of the
	// latter must trust CAPEM.
	Endpoint, TLSEndpoint string
	CAPEM                 []byte
	// Kafka is HOST:PORT to bootstrap Kafka clients from. Topics are the streams of
	// account 000000000000 in Region.
	Kafka string
	// Region and the credentials are good for any client.
	Region, AccessKeyID, SecretAccessKey string
}

// Option changes how a server is started.
type Option func(*settings)

type settings struct {
	config thalweg.Config
	strict bool
}

// WithStrictAuth has signatures verified: only the server's own AccessKeyID and
// SecretAccessKey are accepted.
func WithStrictAuth() Option {
	return func(s *settings) { s.config.Auth, s.strict = "strict", true }
}

// WithTLS opens the TLS listener too.
func WithTLS() Option { return func(s *settings) { s.config.ListenTLS = "127.0.0.1:0" } }

// WithRegion sets the region, us-east-1 otherwise.
func WithRegion(region string) Option { return func(s *settings) { s.config.Region = region } }

// WithDataDir keeps the data in a directory, durably, so that a test can stop a
// server and start another on it.
func WithDataDir(dir string) Option {
	return func(s *settings) { s.config.DataDir, s.config.Ephemeral = dir, false }
}

// New starts a server for the test, which fails if that does not work. The
// server is stopped when the test and its subtests are over.
func New(t testing.TB, opts ...Option) *Server {
	t.Helper()
	s := settings{config: thalweg.Config{Ephemeral: true, Listen: "127.0.0.1:0", ListenTLS: "off", ListenKafka: "127.0.0.1:0", Region: "us-east-1"}}
	for _, o := range opts {
		o(&s)
	}
	srv, err := thalweg.Start(t.Context(), s.config)
	if err != nil {
		t.Fatalf("start thalweg: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := srv.Close(ctx); err != nil {
			t.Errorf("stop thalweg: %v", err)
		}
	})
	out := &Server{Endpoint: srv.Endpoint(), TLSEndpoint: srv.TLSEndpoint(), CAPEM: srv.CAPEM(), Kafka: srv.Kafka(), Region: s.config.Region,
		AccessKeyID: "test", SecretAccessKey: "test"}
	if s.strict {
		out.AccessKeyID, out.SecretAccessKey, err = srv.CreateKey(t.Context(), "000000000000")
		if err != nil {
			t.Fatalf("make an access key: %v", err)
		}
	}
	return out
}
