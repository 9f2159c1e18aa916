package app

import (
	"context"
	"net"
	"strconv"

	"thalweg/internal/brokers"
	"thalweg/internal/catalog"
	"thalweg/internal/config"
	"thalweg/internal/errs"
	"thalweg/internal/kafka"
)

// defaultClusterAccount is whose streams the topics of the default cluster are.
const defaultClusterAccount = "000000000000"

// startKafka opens the listeners of Kafka's protocol.
func startKafka(_ context.Context, s *Server) error {
	if len(s.cfg.ListenKafka) == 0 {
		return nil
	}
	cluster := brokers.New(brokers.Options{
		Log: s.log, Catalog: s.catalog, Streams: s.streams, Clock: s.clock, Keys: s.keystore, Brokers: s.cfg.KafkaBrokers, Memory: s.budget,
		Scope: catalog.Scope{Account: defaultClusterAccount, Region: string(s.cfg.Region)},
	})
	s.group.Go("consumer groups", cluster.Groups().Run)
	s.group.Go("consumer group answers", cluster.Groups().Deliver)
	s.group.Go("transactions", cluster.Transactions().Run)
	var listeners []kafka.Listener
	for _, l := range s.cfg.ListenKafka {
		if err := checkKafkaBind(l, s.cfg.Insecure); err != nil {
			return err
		}
		host, port := s.cfg.KafkaAdvertised(l)
		listeners = append(listeners, kafka.Listener{Addrs: brokerAddrs(string(l.Addr), s.cfg.KafkaBrokers), Host: host, Port: port})
	}
	var err error
	s.kafka, err = kafka.Open(kafka.Options{Cluster: cluster, Log: s.log, Budget: s.budget, Clock: s.system, Logger: s.logger}, listeners)
	return err
}

func stopKafka(ctx context.Context, s *Server) error {
	if s.kafka == nil {
		return nil
	}
	return s.kafka.Shutdown(ctx)
}

// checkKafkaBind keeps a listener without authentication on loopback.
func checkKafkaBind(l config.KafkaListener, insecure bool) error {
	if insecure || config.IsLoopback(l.Addr) {
		return nil
	}
	_, port, err := net.SplitHostPort(string(l.Addr))
	if err != nil {
		return err
	}
	return &errs.Error{Kind: errs.Invalid,
		Msg:  "--listen-kafka " + string(l.Addr) + " can be reached from other machines, with neither verified nor encrypted requests",
		Hint: "listen on " + net.JoinHostPort("127.0.0.1", port) + ", or accept the risk with --insecure"}
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
