package delivery

import (
	"context"
	"fmt"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/log"
)

// end removes a deleted delivery stream, of which nothing is under way. Records put
// to it that no plan has taken are lost, and said to be; a put that comes later is
// refused, as the partition is sealed first.
func (w *runner) end(_ context.Context, r *catalog.Resource) error {
	var lost []Entry
	if r.Delivery.Type == DirectPut {
		if _, err := log.Do(w.s.log, log.Request{Entries: []log.Entry{{Kind: log.Seal, Partition: r.Delivery.Partition(0)}}}); err != nil {
			return err
		}
		at, err := w.s.sourceOf(r, w.line).places()
		if err != nil {
			return err
		}
		for _, p := range at {
			if !p.pending() {
				continue
			}
			now := clock.Millis(w.s.clock)
			lost = append(lost, Entry{
				Plan: Plan{ID: fmt.Sprintf("unplanned-%d", r.Delivery.Number), Version: r.Delivery.Destination.Version, Created: now,
					Ranges:  []Range{{Stream: p.partition.Stream, Generation: p.partition.Generation, Index: p.partition.Index, From: p.next, To: p.end}},
					Records: p.end - p.next},
				Stream: r.Name, Outcome: Lost, Started: now, Done: now, Error: "the delivery stream was deleted",
			})
			w.s.o.Logger.Error("records lost: their delivery stream was deleted", "stream", r.Name, "account", r.Account, "records", p.end-p.next)
		}
	}
	if err := w.s.remove(r, lost); err != nil {
		return err
	}
	w.line.dedup.drop()
	w.line.mu.Lock()
	w.line.running = false
	w.line.moved()
	w.line.mu.Unlock()
	return nil
}
