package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/spf13/cobra"

	"thalweg/internal/client"
	"thalweg/internal/lifecycle"
)

// keysKept is how many keys are counted at once: one that has a thousandth of all
// records is found.
const keysKept = 1000

func (t *target) streamStats() *cobra.Command {
	s := stats{target: t}
	var from string
	c := &cobra.Command{Use: "stats NAME", Short: "Show a stream's rates, by shard, and its hot keys",
		Long: `Show what arrives in a stream: records and bytes a second, by shard, and the
partition keys that have most of the records.

The figures come from reading the stream: this command reads it, from the tip for
the time of --for, or from an earlier place to the tip. It is one more reader of
every shard and makes a call a second to each at the tip. Of keys it counts a
thousand at once, so a rare one may be shown with too high a count; "over" says
by how much at most.

How far other readers are behind is not known to it: the server's /metrics has
thalweg_shard_iterator_age_milliseconds where enhanced monitoring is on.`,
		Example: "  thalweg stream stats arena --for 30s\n  thalweg stream stats arena --from -1h -o json", Args: exactly("a NAME")}
	c.Flags().StringVar(&from, "from", "latest", "`PLACE` to begin at: latest, trim-horizon, or a time (2006-01-02T15:04:05Z, -5m, Unix seconds)")
	c.Flags().DurationVar(&s.window, "for", 10*time.Second, "how long to read at most")
	c.Flags().IntVar(&s.top, "top", 10, "how many keys to show")
	c.RunE = t.onStream(func(ctx context.Context, cl *client.Client, name string) error {
		start, shard, err := parseStart(from, t.env.Clock.Now())
		switch {
		case err != nil:
			return err
		case shard != "":
			return usagef("write a time", "--from %s is a place in one shard only", from)
		case s.window <= 0 || s.top < 0 || s.top > keysKept:
			return usagef("", "--for must be more than 0, and --top from 0 to %d", keysKept)
		}
		s.live = start.Type == types.ShardIteratorTypeLatest
		return s.run(ctx, cl, name, start)
	})
	return c
}

// stats is one `stream stats`.
type stats struct {
	*target
	window time.Duration
	top    int
	live   bool // from the tip, for the whole window

	mu     sync.Mutex
	shards map[string]*shardStats // guarded by mu
	keys   *hotKeys               // guarded by mu
	ahead  map[string]bool        // open shards whose tip is still ahead; guarded by mu
	first  time.Time              // arrival of the earliest record; guarded by mu
	last   time.Time              // guarded by mu
}

type shardStats struct {
	ID               string  `json:"id"`
	Records          int64   `json:"records"`
	Bytes            int64   `json:"bytes"`
	RecordsPerSecond float64 `json:"records_per_second"`
	BytesPerSecond   float64 `json:"bytes_per_second"`
}

func (s *shardStats) add(records, bytes int64) {
	s.Records += records
	s.Bytes += bytes
}

// over gives the rates of a number of seconds.
func (s *shardStats) over(seconds float64) {
	if seconds > 0 {
		s.RecordsPerSecond, s.BytesPerSecond = float64(s.Records)/seconds, float64(s.Bytes)/seconds
	}
}

type keyStats struct {
	Key     string  `json:"key"`
	Records int64   `json:"records"`
	Over    int64   `json:"over"`
	Share   float64 `json:"share"`
}

type statsResult struct {
	Stream  string        `json:"stream"`
	Seconds float64       `json:"seconds"`
	Total   shardStats    `json:"total"`
	Shards  []*shardStats `json:"shards"`
	Keys    []keyStats    `json:"keys"`
}

func (s *stats) run(ctx context.Context, c *client.Client, name string, start client.Start) error {
	shards, err := c.ListAllShards(ctx, name)
	if err != nil {
		return err
	}
	s.shards, s.keys, s.ahead = map[string]*shardStats{}, newHotKeys(keysKept), map[string]bool{}
	shards = slices.DeleteFunc(shards, func(sh types.Shard) bool {
		closed := sh.SequenceNumberRange.EndingSequenceNumber != nil
		if !closed {
			s.ahead[aws.ToString(sh.ShardId)] = true
		}
		return closed && s.live // nothing arrives there any more
	})
	for i := range shards {
		s.shard(aws.ToString(shards[i].ShardId))
	}
	r := &client.Reader{
		API: c, Clock: s.env.Clock, Stream: name, Idle: time.Second, Page: s.page,
		List: func(ctx context.Context) ([]types.Shard, error) { return c.ListAllShards(ctx, name) },
		Start: func(_ string, descended bool) (client.Start, error) {
			if descended {
				return client.TrimHorizon(), nil
			}
			return start, nil
		},
	}
	if err := r.Open(ctx, shards); err != nil {
		return err
	}
	began := s.env.Clock.Now()
	if err := s.read(ctx, r); err != nil {
		return err
	}
	out := statsResult{Stream: name, Shards: []*shardStats{}, Keys: []keyStats{}, Seconds: s.env.Clock.Now().Sub(began).Seconds()}
	if !s.live {
		out.Seconds = s.last.Sub(s.first).Seconds()
	}
	s.sum(&out)
	return s.env.print(s.out, out, out.table)
}

// read reads until the window is over, or all shards are at their tips.
func (s *stats) read(ctx context.Context, r *client.Reader) error {
	g := lifecycle.NewGroup(ctx)
	g.Go("read", func(ctx context.Context) error {
		err := r.Read(ctx)
		if err == nil {
			err = errEnough // every shard has ended
		}
		return err
	})
	timer := s.env.Clock.NewTimer(s.window)
	defer timer.Stop()
	select {
	case <-timer.C():
	case <-g.Context().Done():
	}
	if err := g.Stop(context.WithoutCancel(ctx)); !errors.Is(err, errEnough) && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// shard returns what is counted of a shard; s.mu is held, once reading has begun.
func (s *stats) shard(id string) *shardStats {
	if s.shards[id] == nil {
		s.shards[id] = &shardStats{ID: id}
	}
	return s.shards[id]
}

// page counts what a page has.
func (s *stats) page(p client.Page) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	sh := s.shard(p.ShardID)
	for _, r := range p.Records {
		key := aws.ToString(r.PartitionKey)
		sh.add(1, int64(len(r.Data)+len(key)))
		s.keys.add(key)
		at := aws.ToTime(r.ApproximateArrivalTimestamp)
		if s.first.IsZero() || at.Before(s.first) {
			s.first = at
		}
		if at.After(s.last) {
			s.last = at
		}
	}
	if p.Behind == 0 || p.Ended {
		delete(s.ahead, p.ShardID)
	}
	if !s.live && len(s.ahead) == 0 {
		return errEnough
	}
	return nil
}

func (s *stats) sum(out *statsResult) {
	for _, id := range slices.Sorted(maps.Keys(s.shards)) {
		sh := s.shards[id]
		sh.over(out.Seconds)
		out.Total.add(sh.Records, sh.Bytes)
		out.Shards = append(out.Shards, sh)
	}
	out.Total.ID = "all"
	out.Total.over(out.Seconds)
	for _, k := range s.keys.top(s.top) {
		out.Keys = append(out.Keys, keyStats{Key: k.key, Records: k.count, Over: k.over, Share: float64(k.count) / float64(out.Total.Records)})
	}
}

func (r *statsResult) table(w *tabwriter.Writer) {
	row(w, fmt.Sprintf("%s in %s", plural(int(r.Total.Records), "record"), (time.Duration(r.Seconds*1000)*time.Millisecond).String()))
	w.Flush()
	row(w)
	row(w, "SHARD", "RECORDS", "RECORDS/S", "BYTES/S")
	for _, sh := range append(r.Shards, &r.Total) {
		row(w, sh.ID, grouped(sh.Records), fmt.Sprintf("%.1f", sh.RecordsPerSecond), sizeText(int64(sh.BytesPerSecond)))
	}
	w.Flush()
	if len(r.Keys) == 0 {
		return
	}
	row(w)
	row(w, "KEY", "RECORDS", "OVER", "SHARE")
	for _, k := range r.Keys {
		row(w, oneLine(k.Key), grouped(k.Records), grouped(k.Over), fmt.Sprintf("%.1f%%", 100*k.Share))
	}
}
