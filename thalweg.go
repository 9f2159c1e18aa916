// Package thalweg runs a Thalweg server inside another Go program: durable
// streams that speak Amazon Kinesis, for AWS SDKs to use over HTTP, and the
// protocol of Apache Kafka.
//
// For tests there is package thalwegtest.
package thalweg

import (
	"context"
	"log/slog"
	"strconv"

	"thalweg/internal/app"
	"thalweg/internal/clock"
	"thalweg/internal/config"
)

// Config says how a server works. The zero value is a durable server that
// listens on 127.0.0.1:4566, with TLS on 127.0.0.1:4567, and for Kafka on
// 127.0.0.1:9092, accepts any credentials, and keeps its data where
// `thalweg serve` would. The environment is not consulted except for that place
// and AWS_REGION. docs/config.md has the forms and the meaning of each setting.
type Config struct {
	// DataDir is the data directory. Only one server at a time can use it.
	DataDir string
	// Ephemeral keeps everything in memory instead.
	Ephemeral bool
	// Durability is "fsync" or "os".
	Durability string
	// Listen, ListenTLS and ListenKafka are HOST:PORT, port 0 for a free one, or
	// "off".
	Listen, ListenTLS, ListenKafka string
	// Auth is "open" or "strict".
	Auth string
	// Account and Region are used where a request names none.
	Account, Region string
	// MemoryBytes bounds buffers and caches, DiskBytes the data directory; 0 is
	// the default, 256 MiB and no bound.
	MemoryBytes, DiskBytes int64
	// Logger gets the server's own log; nil discards it.
	Logger *slog.Logger
}

// Server is a running server. Its methods are safe for concurrent use.
type Server struct{ app *app.Server }

// Start starts a server and returns when it answers requests. ctx bounds the
// start only; Close ends the server.
func Start(ctx context.Context, c Config) (*Server, error) {
	flags := map[string]string{}
	for name, v := range map[string]string{
		"data": c.DataDir, "durability": c.Durability, "listen": c.Listen, "listen-tls": c.ListenTLS, "listen-kafka": c.ListenKafka,
		"auth": c.Auth, "account": c.Account, "region": c.Region,
	} {
		if v != "" {
			flags[name] = v
		}
	}
	if c.Ephemeral {
		flags["ephemeral"] = "true"
	}
	if c.MemoryBytes != 0 {
		flags["memory"] = strconv.FormatInt(c.MemoryBytes, 10)
	}
	if c.DiskBytes != 0 {
		flags["max-disk"] = strconv.FormatInt(c.DiskBytes, 10)
	}
	cfg, err := config.Load(config.Sources{Flags: flags, Env: placesOnly})
	if err != nil {
		return nil, err
	}
	logger := c.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	s, err := app.Start(ctx, app.Options{Config: cfg, Clock: clock.System(), Logger: logger})
	if err != nil {
		return nil, err
	}
	return &Server{s}, nil
}

// placesOnly shows a program's environment without settings of ours: an embedded
// server is configured by its program.
func placesOnly(name string) (string, bool) {
	switch name {
	case "AWS_REGION", "HOME", "XDG_DATA_HOME":
		return config.OSEnv(name)
	}
	return "", false
}

// Endpoint is the URL of the plain listener, "" when it is off.
func (s *Server) Endpoint() string { return s.app.Addresses().HTTP }

// TLSEndpoint is the URL of the TLS listener, "" when it is off.
func (s *Server) TLSEndpoint() string { return s.app.Addresses().HTTPS }

// Kafka is HOST:PORT of the first Kafka broker, "" when that is off.
func (s *Server) Kafka() string { return s.app.Addresses().Kafka }

// CAPEM is the certificate authority that clients of TLSEndpoint must trust, nil
// when that is off.
func (s *Server) CAPEM() []byte { return s.app.CAPEM() }

// CreateKey makes an access key of an account, 12 digits. The secret cannot be
// had again.
func (s *Server) CreateKey(ctx context.Context, account string) (accessKeyID, secretAccessKey string, err error) {
	return s.app.CreateKey(ctx, account)
}

// Failed is closed when the server cannot go on, and by Close, which then
// returns why.
func (s *Server) Failed() <-chan struct{} { return s.app.Failed() }

// Close takes no more requests, lets those under way finish until ctx ends, and
// closes the data directory in order.
func (s *Server) Close(ctx context.Context) error { return s.app.Close(ctx) }
