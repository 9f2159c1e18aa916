package app

import (
	"cmp"
	"context"
	"crypto/x509"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"thalweg/internal/catalog"
	"thalweg/internal/clusters"
	"thalweg/internal/config"
	"thalweg/internal/errs"
	"thalweg/internal/kafka"
)

// kafkaHost opens listeners of Kafka's protocol for clusters.
type kafkaHost struct {
	s     *Server
	slots *kafka.Slots // shared by all; made with the first

	mu   sync.Mutex
	open []*served // guarded by mu
}

// served is a cluster that listens, with what its listeners are.
type served struct {
	*kafka.Door
	host      *kafkaHost
	cluster   string
	listeners []config.KafkaListener
	kinds     [][]clusters.Kind // of each listener
}

// protocol is what a kind of listener is in Kafka's words.
func protocol(k clusters.Kind) string {
	switch k {
	case clusters.Plaintext:
		return "PLAINTEXT"
	case clusters.TLS, clusters.MutualTLS:
		return "SSL"
	}
	return "SASL_SSL"
}

// kinds are what a listener of the default cluster is in Amazon MSK's words. With
// SASL and no TLS it is none: MSK has no such.
func (h *kafkaHost) kinds(l config.KafkaListener) []clusters.Kind {
	switch {
	case l.Protocol == "PLAINTEXT":
		return []clusters.Kind{clusters.Plaintext}
	case l.Protocol == "SSL" && h.s.cfg.KafkaCA != "":
		return []clusters.Kind{clusters.MutualTLS}
	case l.Protocol == "SSL":
		return []clusters.Kind{clusters.TLS}
	case l.Protocol == "SASL_SSL":
		return []clusters.Kind{clusters.Scram, clusters.IAM}
	}
	return nil
}

// Check implements clusters.Host.
func (h *kafkaHost) Check(list []clusters.Kind) error {
	if len(h.s.cfg.ListenKafka) == 0 {
		return &errs.Error{Kind: errs.Invalid, Msg: "The server was started without Kafka (--listen-kafka off)."}
	}
	for _, k := range list {
		if err := h.may(k); err != nil {
			return err
		}
	}
	return nil
}

// may refuses a kind of listener that a cluster which was made may not have here.
func (h *kafkaHost) may(k clusters.Kind) error {
	l := h.listener("", k)
	switch {
	case l.TLS() && h.s.certs == nil:
		return noCertificate()
	case k == clusters.MutualTLS && h.s.cfg.KafkaCA == "":
		return errs.New(errs.Invalid, "The server knows no authority that vouches for clients' certificates. Start it with --kafka-client-ca.")
	}
	if err := h.s.checkKafkaBind(l, l.SASL() || k == clusters.MutualTLS); err != nil {
		return &errs.Error{Kind: errs.Invalid, Msg: "A cluster made here listens beside the default one: " + err.Error()}
	}
	return nil
}

func noCertificate() error {
	return errs.New(errs.Invalid, "The server has no certificate for encrypted listeners of Kafka clusters. Start it with --listen-tls.")
}

// listener is what a cluster's listener of a kind is: at the address of the
// server's first one, but for the port.
func (h *kafkaHost) listener(cluster string, k clusters.Kind) config.KafkaListener {
	host, _, err := net.SplitHostPort(string(h.s.cfg.ListenKafka[0].Addr))
	if err != nil {
		host = "127.0.0.1"
	}
	return config.KafkaListener{Cluster: cluster, Protocol: protocol(k), Addr: config.HostPort(net.JoinHostPort(host, "0"))}
}

// Serve implements clusters.Host.
func (h *kafkaHost) Serve(v clusters.Serving) (clusters.Served, error) {
	s := h.s
	out := &served{host: h, cluster: v.Cluster.Name()}
	var list []kafka.Listener
	add := func(l config.KafkaListener, of []clusters.Kind, addrs []string) error {
		k, err := s.kafkaListener(l, addrs, v.Listeners == nil || slices.Contains(of, clusters.MutualTLS))
		out.listeners, out.kinds = append(out.listeners, l), append(out.kinds, of)
		list = append(list, k)
		return err
	}
	if v.Listeners == nil {
		for _, l := range s.cfg.ListenKafka {
			if err := s.checkKafkaBind(l, s.cfg.Authenticates(l)); err != nil {
				return nil, err
			}
			if err := add(l, h.kinds(l), brokerAddrs(string(l.Addr), s.cfg.KafkaBrokers)); err != nil {
				return nil, err
			}
		}
	}
	for _, c := range v.Listeners {
		kind := clusters.Kind(c.Kind)
		if err := h.may(kind); err != nil { // the server may have been started otherwise since
			return nil, err
		}
		l := h.listener(v.Cluster.Name(), kind)
		if err := add(l, []clusters.Kind{kind}, portAddrs(l, c)); err != nil {
			return nil, err
		}
		last := &list[len(list)-1]
		last.Spare = v.Spare
		switch kind {
		case clusters.Scram:
			last.Mechanisms = kafka.MechanismsOfUsers()
		case clusters.IAM:
			last.Mechanisms = kafka.MechanismsOfKeys()
		}
	}
	h.mu.Lock()
	if h.slots == nil {
		h.slots = kafka.NewSlots(kafka.MaxConns, s.budget)
	}
	h.mu.Unlock()
	var err error
	out.Door, err = kafka.Open(kafka.Options{Cluster: v.Cluster, Log: s.log, Budget: s.budget, Slots: h.slots, Clock: s.system, Logger: s.logger,
		Authority: s.auth, Security: v.Security, Enforce: s.cfg.Auth == config.AuthStrict,
		Release: release(v.KafkaVersion), MaxReauth: time.Duration(s.cfg.KafkaReauth)}, list)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open = append(h.open, out)
	return out, nil
}

// release is the release of Apache Kafka that a version of Amazon MSK is: 3.9 of 3.9.x
// and 3.9.x.kraft.
func release(version string) string {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return ""
	}
	return parts[0] + "." + parts[1]
}

// portAddrs are where the brokers of a cluster's listener listen.
func portAddrs(l config.KafkaListener, c catalog.ClusterListener) []string {
	host, _, err := net.SplitHostPort(string(l.Addr))
	if err != nil {
		host = "127.0.0.1"
	}
	out := make([]string, len(c.Ports))
	for i, p := range c.Ports {
		out[i] = net.JoinHostPort(host, strconv.Itoa(p))
	}
	return out
}

// kafkaListener is a listener as package kafka takes it; certified is where clients
// show certificates, if the server knows an authority of theirs.
func (s *Server) kafkaListener(l config.KafkaListener, addrs []string, certified bool) (kafka.Listener, error) {
	host, port := s.cfg.KafkaAdvertised(l)
	k := kafka.Listener{Addrs: addrs, Host: host, Port: port, SASL: l.SASL(), Names: s.advertisedNames()}
	switch {
	case !l.TLS():
		return k, nil
	case s.certs == nil:
		return k, noCertificate()
	}
	var clients *x509.CertPool
	if certified {
		var err error
		if clients, err = authorities(s.cfg.KafkaCA, "--kafka-client-ca"); err != nil {
			return k, err
		}
	}
	k.TLS = kafka.TLSConfig(s.certs.certificate, clients)
	return k, nil
}

// Shutdown implements clusters.Served.
func (d *served) Shutdown(ctx context.Context) error {
	d.host.mu.Lock()
	d.host.open = slices.DeleteFunc(d.host.open, func(o *served) bool { return o == d })
	d.host.mu.Unlock()
	return d.Door.Shutdown(ctx)
}

// Endpoints implements clusters.Served.
func (d *served) Endpoints() []clusters.Endpoint {
	var out []clusters.Endpoint
	for _, b := range d.Bound() {
		_, port, err := net.SplitHostPort(b.Addr)
		n, bad := strconv.Atoi(port)
		if err != nil || bad != nil {
			continue
		}
		for _, k := range d.kinds[b.Listener] {
			out = append(out, clusters.Endpoint{Kind: k, Broker: b.Broker, Host: b.Host, Port: int(b.Port), Bound: n})
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
	if s.host == nil {
		return out
	}
	s.host.mu.Lock()
	defer s.host.mu.Unlock()
	for _, d := range s.host.open {
		for _, b := range d.Bound() {
			// Without a host clients are told the address that they came to.
			host := cmp.Or(b.Host, "127.0.0.1")
			out = append(out, KafkaListener{Cluster: d.cluster, Broker: b.Broker, Protocol: d.listeners[b.Listener].Protocol, Bind: b.Addr,
				Advertised: net.JoinHostPort(host, strconv.Itoa(int(b.Port)))})
		}
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
