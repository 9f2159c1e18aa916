package kafka

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
	"thalweg/internal/clock"
	"thalweg/internal/limits"
	"thalweg/internal/log"
)

// wantedOf is a request for partitions of topics named by number.
func wantedOf(session, epoch int32, topics ...int) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.SessionID, req.SessionEpoch = 12, session, epoch
	for _, n := range topics {
		t := kmsg.NewFetchRequestTopic()
		t.Topic = fmt.Sprint("t", n)
		p := kmsg.NewFetchRequestTopicPartition()
		p.PartitionMaxBytes = 100
		t.Partitions = append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
	}
	return req
}

// TestFetchSessionsAreBounded: by number and by the memory budget; one that was
// used of late does not go for another, and all of it is given back.
func TestFetchSessionsAreBounded(t *testing.T) {
	const slots = 1000
	c := clock.NewManual(time.Unix(1000, 0))
	budget := limits.NewBudget(slots*(fetchWantBytes+2) + 100*fetchWantBytes)
	ss := newFetchSessions(budget, c, func() int { return slots })
	begin := func(topics ...int) int32 {
		return ss.begin("User:ann", false, partsOf(wants(wantedOf(0, 0, topics...))))
	}
	next := func(who string, req *kmsg.FetchRequest) brokers.Code {
		_, _, code := ss.next(who, req)
		return code
	}
	if begin() != 0 {
		t.Error("a session of nothing")
	}
	first := begin(1)
	for range slots - 1 {
		if begin(1) == 0 {
			t.Fatalf("no more than %d sessions", len(ss.byID))
		}
	}
	if begin(2) != 0 {
		t.Error("one session too many")
	}
	c.Advance(fetchSessionIdle)
	if next("User:ben", wantedOf(first, 1)) != brokers.FetchSessionNotFound {
		t.Error("a session is another client's too")
	}
	if next("User:ann", wantedOf(first, 1)) != brokers.OK {
		t.Error("a session is not its client's")
	}
	for range slots - 1 {
		if id := begin(2); id == 0 || id == first {
			t.Fatal("idle sessions do not go")
		}
	}
	if begin(2) != 0 || ss.byID[first] == nil {
		t.Error("a session goes that is in use")
	}

	// It grows until memory is spent, and then it ends.
	many := make([]int, 200)
	for i := range many {
		many[i] = i
	}
	if next("User:ann", wantedOf(first, 2, many...)) != brokers.FetchSessionNotFound || ss.byID[first] != nil {
		t.Error("it grows beyond the budget")
	}
	if begin(many...) != 0 {
		t.Error("a session begins beyond the budget")
	}
	ss.close()
	if used := budget.Used(); used != 0 {
		t.Errorf("%d bytes are still held", used)
	}
}

// TestFetchSessionsServeInTurn: what had records comes last in the next fetch, and
// what has nothing new is not told.
func TestFetchSessionsServeInTurn(t *testing.T) {
	ss := newFetchSessions(limits.NewBudget(0), clock.NewManual(time.Unix(1000, 0)), func() int { return 1 })
	id := ss.begin("User:ann", false, partsOf(wants(wantedOf(0, 0, 1, 2, 3))))
	epoch := int32(1)
	round := func(serve ...string) (order, told string) {
		s, parts, code := ss.next("User:ann", wantedOf(id, epoch))
		if code != brokers.OK {
			t.Fatal(code)
		}
		epoch++
		for i := range parts {
			order += parts[i].want.topic
			for _, name := range serve {
				if parts[i].want.topic == name {
					parts[i].got.List = []log.Batch{{}}
				}
			}
		}
		for _, p := range s.told(parts) {
			told += p.want.topic
		}
		return order, told
	}
	for n, tc := range []struct {
		serve       []string
		order, told string
	}{
		{nil, "t1t2t3", ""},
		{[]string{"t1"}, "t1t2t3", "t1"},
		{[]string{"t2", "t3"}, "t2t3t1", "t2t3"},
		{nil, "t1t2t3", ""},
	} {
		if order, told := round(tc.serve...); order != tc.order || told != tc.told {
			t.Errorf("%d: %s, told %s; want %s, told %s", n, order, told, tc.order, tc.told)
		}
	}
}
