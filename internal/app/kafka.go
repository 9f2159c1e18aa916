package app

import (
	"context"
	"crypto/x509"
	"net"
	"strconv"
	"time"

	"thalweg/internal/brokers"
	"thalweg/internal/catalog"
	"thalweg/internal/config"
	"thalweg/internal/errs"
	"thalweg/internal/kafka"
	"thalweg/internal/vfs"
)

// defaultClusterAccount is whose streams the topics of the default cluster are.
const defaultClusterAccount = "000000000000"

// clusterScope is where the topics of the default cluster are.
func (s *Server) clusterScope() catalog.Scope {
	return catalog.Scope{Account: defaultClusterAccount, Region: string(s.cfg.Region)}
}

// startKafka opens the listeners of Kafka's protocol.
func startKafka(ctx context.Context, s *Server) error {
	if len(s.cfg.ListenKafka) == 0 {
		return nil
	}
	cluster := brokers.New(brokers.Options{
		Log: s.log, Catalog: s.catalog, Streams: s.streams, Clock: s.clock, Keys: s.keystore, Brokers: s.cfg.KafkaBrokers, Memory: s.budget,
		Scope: s.clusterScope(),
	})
	s.cluster = cluster
	clients, err := kafkaClientCA(s.cfg.KafkaCA)
	if err != nil {
		return err
	}
	seal, err := s.keystore.AEAD("kafka SCRAM users")
	if err != nil {
		return err
	}
	security, err := brokers.OpenSecurity(ctx, brokers.SecurityOptions{Log: s.log, Partition: cluster.SecurityPartition(), Clock: s.clock,
		Seal: seal, Keys: s.keystore})
	if err != nil {
		return err
	}
	s.group.Go("consumer groups", cluster.Groups().Run)
	s.group.Go("consumer group answers", cluster.Groups().Deliver)
	s.group.Go("transactions", cluster.Transactions().Run)
	names := s.cfg.AdvertisedHosts()
	for i, h := range names {
		names[i] = hostOnly(h)
	}
	var listeners []kafka.Listener
	for _, l := range s.cfg.ListenKafka {
		if err := s.checkKafkaBind(l); err != nil {
			return err
		}
		host, port := s.cfg.KafkaAdvertised(l)
		k := kafka.Listener{Addrs: brokerAddrs(string(l.Addr), s.cfg.KafkaBrokers), Host: host, Port: port,
			SASL: l.SASL(), Names: names}
		if l.TLS() {
			k.TLS = kafka.TLSConfig(s.certs.certificate, clients)
		}
		listeners = append(listeners, k)
	}
	s.kafka, err = kafka.Open(kafka.Options{Cluster: cluster, Log: s.log, Budget: s.budget, Clock: s.system, Logger: s.logger,
		Authority: s.auth, Security: security, Enforce: s.cfg.Auth == config.AuthStrict, MaxReauth: time.Duration(s.cfg.KafkaReauth)}, listeners)
	return err
}

func stopKafka(ctx context.Context, s *Server) error {
	if s.kafka == nil {
		return nil
	}
	return s.kafka.Shutdown(ctx)
}

// kafkaClientCA reads the authorities that vouch for clients; nil for no file.
func kafkaClientCA(file string) (*x509.CertPool, error) {
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
		return nil, errs.Wrap(errs.KindOf(err), "read --kafka-client-ca", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, &errs.Error{Kind: errs.Invalid, Msg: "--kafka-client-ca " + file + " has no certificate in PEM"}
	}
	return pool, nil
}

// checkKafkaBind keeps a listener on loopback whose clients need not say who they
// are, or are not held to what they may, or can be overheard.
func (s *Server) checkKafkaBind(l config.KafkaListener) error {
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
	case !s.cfg.Authenticates(l):
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

// KafkaListener is one broker's end of a listener, as --ready-file names it.
type KafkaListener struct {
	Cluster    string `json:"cluster"`
	Broker     int32  `json:"broker"`
	Protocol   string `json:"protocol"`
	Bind       string `json:"bind"`
	Advertised string `json:"advertised"`
}

// KafkaListeners returns where Kafka clients can connect.
func (s *Server) KafkaListeners() []KafkaListener {
	out := []KafkaListener{}
	if s.kafka == nil {
		return out
	}
	for _, b := range s.kafka.Bound() {
		l := s.cfg.ListenKafka[b.Listener]
		host := b.Host
		if host == "" {
			host = "127.0.0.1" // clients are told the address that they came to
		}
		out = append(out, KafkaListener{Cluster: l.Cluster, Broker: b.Broker, Protocol: l.Protocol, Bind: b.Addr,
			Advertised: net.JoinHostPort(host, strconv.Itoa(int(b.Port)))})
	}
	return out
}

// firstKafka is where clients on this machine find the first broker that speaks
// in the clear; "" when there is none.
func (s *Server) firstKafka() string {
	for _, l := range s.KafkaListeners() {
		if l.Protocol != "PLAINTEXT" {
			continue
		}
		host, port, err := net.SplitHostPort(l.Bind)
		if err != nil {
			continue
		}
		if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
			host = "127.0.0.1"
		}
		return net.JoinHostPort(host, port)
	}
	return ""
}
