package brokers

import (
	"context"
	"sync"

	"thalweg/internal/errs"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
)

// keyedPartition is one partition of a topic of the brokers' own, in which the
// last record of a key is what counts.
type keyedPartition struct {
	log       log.Log
	partition log.PartitionID

	mu    sync.Mutex
	grown int64 // guarded by mu; bytes since it was last rewritten
	kept  int64 // guarded by mu; bytes that the last rewriting took
}

// scanBytes is how much of a partition is looked at in one read.
const scanBytes = 1 << 20

// rewriteBytes is how many bytes a partition grows by, at least, before what is
// alive in it is written again and the rest trimmed.
const rewriteBytes = 1 << 20

func (p *keyedPartition) open(l log.Log, id log.PartitionID) { p.log, p.partition = l, id }

// due tells whether the partition holds far more than what is alive.
func (p *keyedPartition) due() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.grown > max(rewriteBytes, 4*p.kept)
}

// trim removes everything before an offset, from which on all that is alive is
// there.
func (p *keyedPartition) trim(offset int64) {
	_, err := log.Do(p.log, log.Request{Entries: []log.Entry{{Kind: log.Trim, Partition: p.partition, Offset: offset}}})
	if err != nil {
		return // it stays due
	}
	info, err := p.log.Info(p.partition)
	if err != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.grown, p.kept = 0, info.Bytes
}

// each shows every batch of the partition.
func (p *keyedPartition) each(ctx context.Context, fn func(b []byte, h batch.Header) error) error {
	info, err := p.log.Info(p.partition)
	if err != nil {
		return err
	}
	p.grown = 0
	for at := info.Start; at < info.End; {
		if err := ctx.Err(); err != nil {
			return err
		}
		got, err := p.log.Read(p.partition, at, scanBytes, log.Uncommitted)
		if err != nil {
			return err
		}
		for _, b := range got.List {
			at = b.Base + int64(b.Count)
			p.grown += int64(len(b.Bytes))
			h, err := batch.ParseHeader(b.Bytes)
			if err == nil {
				err = fn(b.Bytes, h)
			}
			if err != nil {
				got.Release()
				return err
			}
		}
		empty := len(got.List) == 0
		got.Release()
		if empty {
			return errs.New(errs.Corrupt, "the partition ends before its end")
		}
	}
	return nil
}
