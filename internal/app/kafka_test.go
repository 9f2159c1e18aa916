package app

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/log"
)

// TestProducerIDsFenceNobody: giving out producer ids raises a writer epoch, and
// none of a partition that another part writes to.
func TestProducerIDsFenceNobody(t *testing.T) {
	c := testConfig(t)
	s := mustStart(t, c)
	others := []log.PartitionID{{}, metadata(keysIndex), metadata(tablesIndex), metadata(usersIndex), metadata(queuesIndex),
		metadata(deliveriesIndex), metadata(schemasIndex), metadata(lakeIndex)}
	epochs := func() (out []uint32) {
		for _, p := range others {
			info, err := s.log.Info(p)
			if err != nil {
				t.Fatalf("%v: %v", p, err)
			}
			out = append(out, info.Epoch)
		}
		return out
	}
	before := epochs()
	ids := func() uint32 {
		info, _ := s.log.Info(metadata(producersIndex)) // not there at first
		return info.Epoch
	}
	block := ids()
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.Addresses().Kafka))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if resp, err := kmsg.NewPtrInitProducerIDRequest().RequestWith(t.Context(), cl); err != nil || resp.ErrorCode != 0 {
		t.Fatalf("%+v, %v", resp, err)
	}
	for i, epoch := range epochs() {
		if epoch != before[i] {
			t.Errorf("the writer of partition %v is shut out", others[i])
		}
	}
	if ids() == block {
		t.Error("the ids that were given out are not counted")
	}
}
