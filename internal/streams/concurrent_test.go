package streams_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/log/disk"
	"thalweg/internal/streams"
	"thalweg/internal/vfs"
)

// Producers put while the stream is redrawn under them, over a log with its
// goroutines: no put fails, none is lost, each key keeps its order.
func TestPutsDuringReshards(t *testing.T) {
	const producers, keys, puts, reshards = 4, 3, 120, 60
	w := &world{t: t, fs: vfs.NewMem(1), clock: clock.NewManual(start)}
	var err error
	if w.log, err = disk.Open(context.Background(), disk.Options{FS: w.fs, Dir: "data", Clock: w.clock}); err != nil {
		t.Fatal(err)
	}
	defer w.log.Close(context.Background())
	cat, err := catalog.Open(context.Background(), w.log, w.clock)
	if err != nil {
		t.Fatal(err)
	}
	w.opts = streams.Options{Log: w.log, Catalog: cat, Clock: w.clock, Keys: fixedKeys{}}
	if w.svc, err = streams.New(w.opts); err != nil {
		t.Fatal(err)
	}
	h := &history{world: w, rand: rand.New(rand.NewPCG(1, 2)), name: "s", initial: 2, acked: map[string][]string{}}
	w.create("s", h.initial)

	acked := make([]map[string][]string, producers)
	var wg sync.WaitGroup
	for n := range producers {
		acked[n] = map[string][]string{}
		wg.Go(func() {
			for range puts {
				p := w.svc.NewPut(w.lookup("s"))
				for range 2 { // records of each key
					for k := range keys {
						key := fmt.Sprintf("%d.%d", n, k)
						data := strconv.Itoa(len(acked[n][key]))
						acked[n][key] = append(acked[n][key], "")
						dst, err := p.Add([]byte(key), nil, len(data))
						if err != nil {
							t.Error(err)
							return
						}
						copy(dst, data)
					}
				}
				p.Commit()
				for i := range p.Len() {
					at, err := p.Result(i)
					if err != nil {
						t.Error(err)
						return
					}
					list := acked[n][fmt.Sprintf("%d.%d", n, i%keys)]
					list[len(list)-2+i/keys] = at.Sequence.String()
				}
				p.Release()
			}
		})
	}
	for range reshards {
		h.reshard()
	}
	wg.Wait()
	for _, a := range acked {
		for key, list := range a {
			h.acked[key] = list
		}
	}
	h.check()
}
