package app

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"path/filepath"
	"strconv"

	"thalweg/internal/catalog"
	"thalweg/internal/clusters"
	"thalweg/internal/config"
	"thalweg/internal/errs"
	"thalweg/internal/vfs"
)

// defaultClusterAccount is whose streams the topics of the default cluster are.
const defaultClusterAccount = "000000000000"

// newClusters makes the clusters that Kafka clients come to; none runs yet.
func newClusters(_ context.Context, s *Server) error {
	s.host = &kafkaHost{s: s}
	s.clusters = clusters.New(clusters.Options{Log: s.log, Catalog: s.catalog, Streams: s.streams, Clock: s.clock, Keys: s.keystore,
		AEAD: s.keystore.AEAD, Logger: s.logger, Memory: s.budget, Host: s.host, Ports: clusters.PortRange(s.cfg.KafkaPorts),
		Default: catalog.Scope{Account: defaultClusterAccount, Region: string(s.cfg.Region)}, Brokers: s.cfg.KafkaBrokers,
		Secrets: secretFiles{s.cfg.KafkaSecrets, string(s.cfg.Account)}})
	return nil
}

// startKafka has the clusters run.
func startKafka(ctx context.Context, s *Server) error {
	if len(s.cfg.ListenKafka) == 0 {
		return nil
	}
	if err := s.clusters.Start(ctx); err != nil {
		return err
	}
	s.group.Go("Kafka clusters", s.clusters.Run)
	return nil
}

func stopKafka(ctx context.Context, s *Server) error { return s.clusters.Shutdown(ctx) }

// authorities reads those that vouch for a peer, from a file that a setting names; nil
// for no file.
func authorities(file, setting string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	name, err := absolute(file)
	if err != nil {
		return nil, err
	}
	const limit = 1 << 20
	pem, err := vfs.ReadFile(vfs.OS{}, name, limit)
	if err != nil {
		return nil, errs.Wrap(errs.KindOf(err), "read "+setting, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, &errs.Error{Kind: errs.Invalid, Msg: setting + " " + file + " has no certificate in PEM"}
	}
	return pool, nil
}

// checkKafkaBind keeps a listener on loopback whose clients need not say who they
// are, or are not held to what they may, or can be overheard.
func (s *Server) checkKafkaBind(l config.KafkaListener, proves bool) error {
	if s.cfg.Insecure || config.IsLoopback(l.Addr) {
		return nil
	}
	_, port, err := net.SplitHostPort(string(l.Addr))
	if err != nil {
		return err
	}
	e := &errs.Error{Kind: errs.Invalid, Msg: "--listen-kafka " + string(l.Addr) + " can be reached from other machines, "}
	switch {
	case !l.TLS():
		e.Msg += "with requests and answers readable on the way"
	case !proves:
		e.Msg += "and nobody has to prove who they are"
	case s.cfg.Auth != config.AuthStrict:
		e.Msg += "and with --auth open everybody may do everything"
	default:
		return nil
	}
	e.Hint = "use SASL_SSL, or SSL with --kafka-client-ca, and --auth strict, or listen on " + net.JoinHostPort("127.0.0.1", port) +
		", or accept the risk with --insecure"
	return e
}

// brokerAddrs are the addresses of n brokers: that port and those after it, or
// any for port 0.
func brokerAddrs(addr string, n int) []string {
	host, port, err := net.SplitHostPort(addr)
	first, err2 := strconv.Atoi(port)
	if err != nil || err2 != nil {
		return []string{addr}
	}
	out := make([]string, n)
	for i := range out {
		if out[i] = addr; first != 0 {
			out[i] = net.JoinHostPort(host, strconv.Itoa(first+i))
		}
	}
	return out
}

// secretFiles are secrets in files of a directory, named for them: those of an account
// are in a directory in it that has the account's name, those of one in dir itself.
type secretFiles struct{ dir, account string }

// Secret implements clusters.Secrets.
func (f secretFiles) Secret(account, name string) (clusters.Secret, error) {
	missing := errs.New(errs.NotFound, "There is no secret "+name+" in the directory of --kafka-secrets.")
	if f.dir == "" {
		missing.Msg = "The server knows no secrets. Start it with --kafka-secrets DIR."
		return clusters.Secret{}, missing
	}
	dir, err := absolute(f.dir)
	if err != nil {
		return clusters.Secret{}, err
	}
	if account != f.account {
		missing.Msg = "There is no secret " + account + "/" + name + " in the directory of --kafka-secrets."
		dir = filepath.Join(dir, account)
	}
	const limit = 64 << 10
	text, err := vfs.ReadFile(vfs.OS{}, filepath.Join(dir, name), limit)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return clusters.Secret{}, missing
	case err != nil:
		return clusters.Secret{}, errs.Wrap(errs.KindOf(err), "read a secret", err)
	}
	var s struct{ Username, Password string }
	if err := json.Unmarshal(text, &s); err != nil {
		return clusters.Secret{}, nil // which is none of a user
	}
	return clusters.Secret(s), nil
}
