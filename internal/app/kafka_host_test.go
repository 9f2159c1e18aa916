package app

import (
	"testing"

	"thalweg/internal/clusters"
	"thalweg/internal/config"
)

// TestWhereClustersMayListen: a cluster that was made is held to the rules of the
// server's own listeners, by what its clients prove.
func TestWhereClustersMayListen(t *testing.T) {
	all := []clusters.Kind{clusters.Plaintext, clusters.TLS, clusters.MutualTLS, clusters.Scram, clusters.IAM}
	for _, tc := range []struct {
		addr     config.HostPort
		auth     config.Auth
		ca       string
		insecure bool
		may      map[clusters.Kind]bool
	}{
		{addr: "127.0.0.1:9092", may: map[clusters.Kind]bool{clusters.Plaintext: true, clusters.TLS: true, clusters.Scram: true, clusters.IAM: true}},
		{addr: "0.0.0.0:9092", auth: config.AuthOpen, ca: "ca.pem"},
		{addr: "0.0.0.0:9092", auth: config.AuthStrict, ca: "ca.pem",
			may: map[clusters.Kind]bool{clusters.MutualTLS: true, clusters.Scram: true, clusters.IAM: true}},
		{addr: "0.0.0.0:9092", auth: config.AuthOpen, insecure: true,
			may: map[clusters.Kind]bool{clusters.Plaintext: true, clusters.TLS: true, clusters.Scram: true, clusters.IAM: true}},
	} {
		s := &Server{certs: &certificates{}, cfg: config.Config{ListenKafka: []config.KafkaListener{{Cluster: "default", Protocol: "SASL_SSL", Addr: tc.addr}},
			Auth: tc.auth, KafkaCA: tc.ca, Insecure: tc.insecure}}
		h := &kafkaHost{s: s}
		for _, k := range all {
			if err := h.Check([]clusters.Kind{k}); (err == nil) != tc.may[k] {
				t.Errorf("%+v: %s: %v", tc.addr, k, err)
			}
		}
		s.certs = nil
		if err := h.Check([]clusters.Kind{clusters.TLS}); err == nil {
			t.Error("a listener is encrypted without a certificate")
		}
	}
	if err := (&kafkaHost{s: &Server{}}).Check(nil); err == nil {
		t.Error("a cluster may be made without Kafka")
	}
}
