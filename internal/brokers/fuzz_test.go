package brokers

import (
	"testing"

	"thalweg/internal/log/batch"
)

// FuzzRecords: whatever stands in the topics that groups and transactions are kept
// in, loading it is an error or a state that can be written again.
func FuzzRecords(f *testing.F) {
	key, value := offsetRecord("g", topicPartition{"game", 1}, Committed{Offset: 5, Epoch: 1, Metadata: "m", Time: 9})
	f.Add(key, value)
	g := newGroup("g", func(p string) string { return p })
	g.store = func(func(*Error)) {}
	g.join(1, Join{Instance: "i", Session: 1, ProtocolType: "consumer", Protocols: []Protocol{{"range", []byte("x")}}}, func(Joined) {})
	key, value = groupRecord(g, 7)
	f.Add(key, value)
	b := newConsumerBench(f, map[string]int32{"t": 3})
	regex := "t.*"
	if _, err := b.g.heartbeat(1, &Beat{MemberID: "m", Instance: &regex, Rebalance: 1, Names: []string{"t"}, Regex: &regex, Owned: []TopicPartitions{}}); err != nil {
		f.Fatal(err)
	}
	b.g.join(1, &Join{MemberID: "k", ProtocolType: consumerProtocol, Protocols: (&rider{names: []string{"t"}}).subscription()})
	for _, r := range b.g.records() {
		f.Add(r.key, r.value)
	}
	shared := shareKey{"g", TopicID{1}, 2}
	kept := snapshot{number: 1, part: sharePartition{start: 3, next: 9, spans: []span{{first: 3, last: 5, count: 1}, {first: 6, last: 8, state: acknowledged, count: 2}}}}
	f.Add(shared.record(), kept.value())
	raw := txnBatch("teller", &txn{producer: 1, epoch: 2, timeout: 3, state: txnOngoing, parts: []topicPartition{{"game", 1}}, started: 4, updated: 5})
	it, err := batch.Records(raw)
	if err != nil || !it.Next() {
		f.Fatal(err)
	}
	f.Add(it.Record().Key, it.Record().Value)
	w := newWorld(f)
	f.Fuzz(func(t *testing.T, key, value []byte) {
		r := &batch.Record{Key: key, Value: value}
		gs := newGroups(w.cluster)
		if gs.apply(r, -1) == nil && gs.apply(r, 3) == nil {
			for _, e := range gs.byID {
				e.settle(3, true)
				if b := e.batch(1); len(b) == 0 {
					t.Fatal("a group that is nothing")
				}
				e.group.store = func(func(*Error)) {}
				e.group.tick(1 << 50)
				if e.consumers != nil {
					e.consumers.loaded(1)
					if e.consumers.onlyClassic() {
						e.consumers.downgrade(e.group, 1)
					}
					e.consumers.tick(1 << 50)
				}
			}
		}
		if s, err := parseSnapshot(value); err == nil {
			if again, err := parseSnapshot(s.value()); err != nil || again.part.String() != s.part.String() {
				t.Fatalf("%v, %s became %s", err, &s.part, &again.part)
			}
		}
		if k, err := parseShareKey(key); err == nil && string(k.record()) != string(key) {
			t.Fatalf("%+v", k)
		}
		ts := newTransactions(w.cluster)
		if ts.apply(r) == nil {
			for _, x := range ts.byID {
				if len(txnBatch(x.id, &x.txn)) == 0 {
					t.Fatal("a transaction that is nothing")
				}
			}
		}
	})
}
