package brokers

import (
	"context"
	"sync"

	"thalweg/internal/errs"
	"thalweg/internal/log"
)

// producerBlock is how many producer ids one step of the durable counter stands
// for. Those that a process did not use are never used.
const producerBlock = 1000

// producerPartition counts the blocks: its writer epoch, which only rises, is the
// number of the block that was taken last. No other part may use it: a fence shuts
// out whoever else writes there.
func (c *Cluster) producerPartition() log.PartitionID { return c.partition(5) }

// producerIDs gives out producer ids, none of them twice.
type producerIDs struct {
	mu   sync.Mutex
	next int64
	end  int64
}

// NewProducerID returns a producer id that was never given out, nor will be.
func (c *Cluster) NewProducerID(ctx context.Context) (int64, *Error) {
	p := &c.producers
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == p.end {
		if err := ctx.Err(); err != nil {
			return 0, logError(err)
		}
		r, err := log.Do(c.log, log.Request{Entries: []log.Entry{{Kind: log.Fence, Partition: c.producerPartition()}}})
		if errs.KindOf(err) == errs.NotFound && err != nil {
			r, err = log.Do(c.log, log.Request{Atomic: true, Entries: []log.Entry{
				{Kind: log.Create, Partition: c.producerPartition()}, {Kind: log.Fence, Partition: c.producerPartition()},
			}})
		}
		if err != nil {
			return 0, logError(err)
		}
		block := int64(r[len(r)-1].Epoch)
		p.next, p.end = block*producerBlock, (block+1)*producerBlock
	}
	p.next++
	return p.next - 1, nil
}
