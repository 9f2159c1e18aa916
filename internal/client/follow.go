package client

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"thalweg/internal/clock"
	"thalweg/internal/lifecycle"
)

// Reader reads shards of a stream side by side, and those that they are split or
// merged into. A shard is read once all its parents, of those that are read at
// all, have come to their end: so the records of a partition key come in the
// order in which they were put.
type Reader struct {
	API    ReadAPI
	Clock  clock.Clock
	Stream string
	// List returns the shards of the stream.
	List func(context.Context) ([]types.Shard, error)
	// Consumer is the ARN of a registered consumer to which Push pushes the records
	// over enhanced fan-out; "" reads them through API.
	Consumer string
	Push     SubscribeAPI
	// Start says where to begin a shard. descended tells that the shard came to be
	// while its parents were read: what it holds is new.
	Start func(shard string, descended bool) (Start, error)
	// Page is called with every page: one at a time of each shard, of several
	// shards at once.
	Page func(Page) error
	// Limit and Idle are those of each [Shard].
	Limit int32
	Idle  time.Duration

	mu      sync.Mutex
	shards  map[string]*followed // guarded by mu; not yet read to their end
	done    map[string]bool      // guarded by mu; read to their end
	running sync.WaitGroup
}

// followed is a shard that is or will be read.
type followed struct {
	source
	id      string
	parents []string // that are still being read
}

// source is one shard to read: a [Shard] or a [Subscriber].
type source interface {
	Open(ctx context.Context) error
	Read(ctx context.Context, fn func(Page) error) error
}

// Open pins the starts of shards: with [Latest], every record put after Open
// returns is read. It is called once, before Read.
func (r *Reader) Open(ctx context.Context, shards []types.Shard) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shards, r.done = make(map[string]*followed, len(shards)), map[string]bool{}
	for i := range shards {
		f, err := r.add(aws.ToString(shards[i].ShardId), false)
		if err != nil {
			return err
		}
		if err := f.Open(ctx); err != nil {
			return err
		}
	}
	for i := range shards {
		r.descend(aws.ToString(shards[i].ShardId), parentsOf(&shards[i]))
	}
	return nil
}

func parentsOf(s *types.Shard) []string {
	return []string{aws.ToString(s.ParentShardId), aws.ToString(s.AdjacentParentShardId)}
}

// add makes a shard one to be read; mu is held.
func (r *Reader) add(id string, descended bool) (*followed, error) {
	start, err := r.Start(id, descended)
	if err != nil {
		return nil, err
	}
	f := &followed{id: id}
	if r.Consumer != "" {
		f.source = &Subscriber{API: r.Push, Clock: r.Clock, Consumer: r.Consumer, ID: id, Start: start}
	} else {
		f.source = &Shard{API: r.API, Clock: r.Clock, Stream: r.Stream, ID: id, Start: start, Limit: r.Limit, Idle: r.Idle}
	}
	r.shards[id] = f
	return f, nil
}

// descend has a shard wait for those parents that are read; mu is held.
func (r *Reader) descend(id string, parents []string) {
	for _, p := range parents {
		if r.shards[p] != nil {
			r.shards[id].parents = append(r.shards[id].parents, p)
		}
	}
}

// Read reads until all shards and their descendants have ended (nil), an error of
// Page or Start, or the end of ctx (its error).
func (r *Reader) Read(ctx context.Context) error {
	g := lifecycle.NewGroup(ctx)
	r.mu.Lock()
	for _, f := range r.shards {
		if len(f.parents) == 0 {
			r.begin(g, f)
		}
	}
	r.mu.Unlock()
	r.running.Wait()
	if err := g.Stop(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	return ctx.Err()
}

// begin reads a shard, and has its children read when it ends.
func (r *Reader) begin(g *lifecycle.Group, f *followed) {
	r.running.Add(1)
	g.Go("read "+f.id, func(ctx context.Context) error {
		defer r.running.Done()
		var children []types.ChildShard
		err := f.Read(ctx, func(p Page) error {
			children = p.Children
			return r.Page(p)
		})
		if err != nil {
			return err
		}
		return r.ended(ctx, g, f.id, children)
	})
}

// ended begins what waited for a shard's end.
func (r *Reader) ended(ctx context.Context, g *lifecycle.Group, id string, children []types.ChildShard) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.strangers(children) {
		if err := r.addDescendants(ctx); err != nil {
			return err
		}
	}
	for i := range children {
		child := aws.ToString(children[i].ShardId)
		if r.shards[child] == nil {
			if _, err := r.add(child, true); err != nil {
				return err
			}
			r.descend(child, children[i].ParentShards)
		}
	}
	delete(r.shards, id)
	r.done[id] = true
	for _, f := range r.shards {
		if i := slices.Index(f.parents, id); i >= 0 {
			if f.parents = slices.Delete(f.parents, i, i+1); len(f.parents) == 0 {
				r.begin(g, f)
			}
		}
	}
	return nil
}

// strangers reports whether a shard has a parent that was never heard of: it may
// descend from one that is still being read; mu is held.
func (r *Reader) strangers(children []types.ChildShard) bool {
	for i := range children {
		for _, p := range children[i].ParentShards {
			if r.shards[p] == nil && !r.done[p] {
				return true
			}
		}
	}
	return false
}

// addDescendants adds every shard that descends from one being read; mu is held.
func (r *Reader) addDescendants(ctx context.Context) error {
	shards, err := r.List(ctx)
	for backoff := newBackoff(); Retryable(err); shards, err = r.List(ctx) {
		if err := backoff.wait(ctx, r.Clock); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	for i := range shards { // parents come before their children
		id, parents := aws.ToString(shards[i].ShardId), parentsOf(&shards[i])
		known := func(p string) bool { return r.shards[p] != nil }
		if known(id) || r.done[id] || !slices.ContainsFunc(parents, known) {
			continue
		}
		if _, err := r.add(id, true); err != nil {
			return err
		}
		r.descend(id, parents)
	}
	return nil
}
