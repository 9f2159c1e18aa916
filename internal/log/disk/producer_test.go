package disk_test

import (
	"testing"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
	"thalweg/internal/log/disk"
	"thalweg/internal/vfs"
)

// TestProducersAreBounded: a partition forgets the producers that were idle for longest
// when it knows too many, as anybody can be another with each batch; none in a
// transaction.
func TestProducersAreBounded(t *testing.T) {
	c := clock.NewManual(start)
	fs := vfs.NewMem(1)
	tune := func(o *disk.Options) { o.Clock, o.MaxProducers = c, 10 }
	l := open(t, fs, tune)
	p := pid(1)
	must(t, l, create(p, log.Config{}))
	must(t, l, data(p, producerBatch(1, []byte("x"), 7, 0, 0, batch.Transactional)))
	for id := range int64(200) {
		c.Advance(time.Millisecond)
		must(t, l, data(p, producerBatch(1, []byte("x"), 1000+id, 0, 0, 0)))
	}
	known := func(want int) []log.Producer {
		t.Helper()
		if err := l.Checkpoint(); err != nil {
			t.Fatal(err)
		}
		list, err := l.Producers(p)
		if err != nil || len(list) != want {
			t.Fatalf("%d producers are known, want %d: %v", len(list), want, err)
		}
		return list
	}
	list := known(10)
	if list[0].ID != 7 || list[1].ID != 1191 || list[9].ID != 1199 {
		t.Errorf("they are %+v", list)
	}
	must(t, l, data(p, marker(7, 0, true)))
	c.Advance(time.Millisecond)
	must(t, l, data(p, producerBatch(1, []byte("x"), 2000, 0, 0, 0)))
	if list := known(10); list[0].ID != 7 || list[1].ID != 1192 {
		t.Errorf("they are %+v", list)
	}
	if r := must(t, l, data(p, producerBatch(1, []byte("x"), 1199, 0, 0, 0))); !r[0].Duplicate {
		t.Error("a repeat of one that is known is taken twice")
	}
	closeLog(t, l)
	l = open(t, fs, tune)
	must(t, l, data(p, rawBatch(1, []byte("x"))))
	known(10)
	closeLog(t, l)
}

// TestForgottenProducersEndedTheirTransactions: a transaction whose producer is
// forgotten after its end is not open again after a restart.
func TestForgottenProducersEndedTheirTransactions(t *testing.T) {
	for name, forget := range map[string]struct {
		others int
		wait   time.Duration
	}{"it was idle for a day": {1, 25 * time.Hour}, "there were too many": {20, time.Millisecond}} {
		t.Run(name, func(t *testing.T) {
			c := clock.NewManual(start)
			fs := vfs.NewMem(1)
			tune := func(o *disk.Options) { o.Clock, o.MaxProducers = c, 10 }
			l := open(t, fs, tune)
			p := pid(1)
			must(t, l, create(p, log.Config{}))
			must(t, l, data(p, producerBatch(1, []byte("x"), 7, 0, 0, batch.Transactional)))
			checkpoint := func() {
				if err := l.Checkpoint(); err != nil {
					t.Fatal(err)
				}
			}
			checkpoint()
			must(t, l, data(p, marker(7, 0, true)))
			c.Advance(forget.wait)
			for id := range forget.others {
				must(t, l, data(p, producerBatch(1, []byte("x"), int64(1000+id), 0, 0, 0)))
			}
			checkpoint()
			closeLog(t, l)
			l = open(t, fs, tune)
			if in, err := l.Info(p); err != nil || in.Stable != in.End {
				t.Errorf("stable up to %d of %d: %v", in.Stable, in.End, err)
			}
			closeLog(t, l)
		})
	}
}
