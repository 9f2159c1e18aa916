package config

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// DefaultCluster is the Kafka cluster that exists from the start.
const DefaultCluster = "default"

// KafkaListener is one listener of Kafka's protocol.
type KafkaListener struct {
	Cluster  string
	Protocol string // PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL
	Addr     HostPort
}

// TLS tells whether connections are encrypted.
func (l KafkaListener) TLS() bool { return l.Protocol == "SSL" || l.Protocol == "SASL_SSL" }

// SASL tells whether clients prove who they are by access keys.
func (l KafkaListener) SASL() bool { return l.Protocol == "SASL_PLAINTEXT" || l.Protocol == "SASL_SSL" }

// kafkaListeners is a Value: listeners of [NAME=][PROTO://]HOST:PORT, or off.
type kafkaListeners struct{ at *[]KafkaListener }

func (l kafkaListeners) Set(s string) error {
	var out []KafkaListener
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part == "" || part == "off" {
			continue
		}
		k, err := parseKafkaListener(part)
		if err != nil {
			return err
		}
		out = append(out, k)
	}
	*l.at = out
	return nil
}

func parseKafkaListener(s string) (KafkaListener, error) {
	k := KafkaListener{Cluster: DefaultCluster, Protocol: "PLAINTEXT"}
	rest := s
	if name, after, ok := strings.Cut(rest, "="); ok {
		if name != DefaultCluster {
			return k, fmt.Errorf("%q names the cluster %q; those that are made have ports of --kafka-ports, only %q is given listeners here", s, name, DefaultCluster)
		}
		rest = after
	}
	if proto, after, ok := strings.Cut(rest, "://"); ok {
		switch proto {
		case "PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL":
		default:
			return k, fmt.Errorf("%q has no known protocol; write PLAINTEXT://%s", s, after)
		}
		k.Protocol, rest = proto, after
	}
	if err := k.Addr.Set(rest); err != nil {
		return k, err
	}
	return k, nil
}

func (l kafkaListeners) String() string {
	if len(*l.at) == 0 {
		return "off"
	}
	out := make([]string, len(*l.at))
	for i, k := range *l.at {
		if out[i] = string(k.Addr); k.Protocol != "PLAINTEXT" {
			out[i] = k.Protocol + "://" + out[i]
		}
	}
	return strings.Join(out, ",")
}

func (kafkaListeners) Type() string { return "[NAME=][PROTO://]HOST:PORT[,...]" }

// brokerCount is a Value: a number of brokers.
type brokerCount struct{ at *int }

// maxBrokers is the most brokers that a cluster can show.
const maxBrokers = 30

func (b brokerCount) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxBrokers {
		return fmt.Errorf("%q is no number from 1 to %d", s, maxBrokers)
	}
	*b.at = n
	return nil
}
func (b brokerCount) String() string { return strconv.Itoa(*b.at) }
func (brokerCount) Type() string     { return "N" }

// checkAdvertised refuses what is not [NAME=]HOST[:PORT].
func checkAdvertised(s string) error {
	name, host := splitAdvertised(s)
	if _, _, err := net.SplitHostPort(host); err == nil && name != "" && name != DefaultCluster {
		return fmt.Errorf("%q gives a port to the Kafka cluster %q, whose brokers have ports of their own; write %s=HOST", s, name, name)
	}
	return checkHost(host)
}

func splitAdvertised(s string) (name, host string) {
	if n, h, ok := strings.Cut(s, "="); ok {
		return n, h
	}
	return "", s
}

// AdvertisedHosts are the names by which clients reach the listeners, HOST or
// HOST:PORT.
func (c *Config) AdvertisedHosts() []string {
	out := make([]string, len(c.Advertise))
	for i, a := range c.Advertise {
		_, out[i] = splitAdvertised(a)
	}
	return out
}

// KafkaAdvertised is what clients of a Kafka listener are told: a host and a port,
// "" and 0 where the listener's own hold. An entry for the listener's cluster
// holds for each of its listeners; one without a name for those that others can
// reach, and for its host only, since its port is that of HTTP.
func (c *Config) KafkaAdvertised(l KafkaListener) (host string, port int) {
	for _, a := range c.Advertise {
		name, hp := splitAdvertised(a)
		if name != l.Cluster {
			continue
		}
		h, p, err := net.SplitHostPort(hp)
		if err != nil {
			return hp, 0
		}
		n, err := strconv.Atoi(p)
		if err != nil {
			n = 0
		}
		return h, n
	}
	if !IsLoopback(l.Addr) {
		for _, a := range c.Advertise {
			if name, hp := splitAdvertised(a); name == "" {
				if h, _, err := net.SplitHostPort(hp); err == nil {
					return h, 0
				}
				return hp, 0
			}
		}
	}
	h, _, err := net.SplitHostPort(string(l.Addr))
	if ip := net.ParseIP(h); err != nil || ip != nil && ip.IsUnspecified() {
		return "", 0
	}
	return h, 0
}

// PortRange is a Value: ports from one to another, both included. The zero
// PortRange is any.
type PortRange struct{ From, To int }

// Set reads FROM-TO, or nothing.
func (p *PortRange) Set(s string) error {
	if s == "" {
		*p = PortRange{}
		return nil
	}
	from, to, ok := strings.Cut(s, "-")
	first, err := strconv.Atoi(from)
	last, err2 := strconv.Atoi(to)
	if !ok || err != nil || err2 != nil || first < 1 || last > 65535 || first > last {
		return fmt.Errorf("%q is no range of ports; write 9200-9299", s)
	}
	*p = PortRange{first, last}
	return nil
}

func (p *PortRange) String() string {
	if p.From == 0 {
		return ""
	}
	return strconv.Itoa(p.From) + "-" + strconv.Itoa(p.To)
}

// Type implements Value.
func (*PortRange) Type() string { return "FROM-TO" }
