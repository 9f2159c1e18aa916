package kafka

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestReleases: clients are shown what their release of Apache Kafka has, and no more.
func TestReleases(t *testing.T) {
	for _, tc := range []struct {
		release     string
		fetch       int16
		heartbeat   bool // of KIP-848
		transaction bool // of KIP-890
	}{{"", 18, true, true}, {"3.5", 15, false, false}, {"3.9", 17, false, false}, {"4.1", 18, true, true}} {
		s := newServer(t, 1, func(o *Options) { o.Release = tc.release })
		req := kmsg.NewPtrApiVersionsRequest()
		req.Version, req.ClientSoftwareName, req.ClientSoftwareVersion = 4, "test", "1.0"
		resp, err := req.RequestWith(t.Context(), s.client(t))
		if err != nil {
			t.Fatal(err)
		}
		versions := map[int16]int16{}
		for _, k := range resp.ApiKeys {
			versions[k.ApiKey] = k.MaxVersion
		}
		_, heartbeat := versions[68]
		transaction := false
		for _, f := range resp.FinalizedFeatures {
			transaction = transaction || f.Name == "transaction.version"
		}
		if versions[1] != tc.fetch || heartbeat != tc.heartbeat || transaction != tc.transaction {
			t.Errorf("%q: Fetch to %d, ConsumerGroupHeartbeat %v, transaction.version %v", tc.release, versions[1], heartbeat, transaction)
		}
	}
	if _, err := apisOf("9.9"); err == nil {
		t.Error("a release that there is not was taken")
	}
}
