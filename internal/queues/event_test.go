package queues

import "testing"

func FuzzDecodeEvent(f *testing.F) {
	for _, e := range []event{
		{kind: evNext, queue: "q", shard: 3, offset: 500},
		{kind: evRecord, queue: "q", shard: 1 << 31, offset: 1 << 40, state: state{dead: true, count: 2, turn: 9, first: 5, visible: 1 << 41}},
		{kind: evDone, queue: "q", offset: 1}, {kind: evShard, queue: "q", shard: 2}, {kind: evGone, queue: "abcdefghijklmnopqrstuvwxyz"},
	} {
		b := e.encode()
		if got, err := decodeEvent(b); err != nil || got != e {
			f.Fatal(got, err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeEvent(b)
		if err != nil {
			return
		}
		if again, err := decodeEvent(e.encode()); err != nil || again != e {
			t.Fatalf("%x: %+v, again %+v, %v", b, e, again, err)
		}
		if len(e.encode()) > len(b) {
			t.Fatalf("%x became %x", b, e.encode())
		}
	})
}
