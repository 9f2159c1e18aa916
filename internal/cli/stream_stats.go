package cli

import (
	"context"
	"errors"
	"fmt"
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
	s.shards, s.keys = map[string]*shardStats{}, newHotKeys(keysKept)
	out := statsResult{Stream: name, Shards: []*shardStats{}, Keys: []keyStats{}}
	var readers []*client.Shard
	for _, sh := range shards {
		if s.live && sh.SequenceNumberRange.EndingSequenceNumber != nil {
			continue // nothing arrives there any more
		}
		id := aws.ToString(sh.ShardId)
		r := &client.Shard{API: c, Clock: s.env.Clock, Stream: name, ID: id, Start: start, Idle: time.Second}
		if err := r.Open(ctx); err != nil {
			return err
		}
		readers = append(readers, r)
		s.shards[id] = &shardStats{ID: id}
		out.Shards = append(out.Shards, s.shards[id])
	}
	began := s.env.Clock.Now()
	if err := s.read(ctx, readers); err != nil {
		return err
	}
	out.Seconds = s.env.Clock.Now().Sub(began).Seconds()
	if !s.live {
		out.Seconds = s.last.Sub(s.first).Seconds()
	}
	s.sum(&out)
	return s.env.print(s.out, out, out.table)
}

// read reads the shards until the window is over, or all are at their tips.
func (s *stats) read(ctx context.Context, readers []*client.Shard) error {
	window, cancel := context.WithCancel(ctx)
	defer cancel()
	g := lifecycle.NewGroup(window)
	var wait sync.WaitGroup
	for _, r := range readers {
		wait.Add(1)
		g.Go("read "+r.ID, func(ctx context.Context) error {
			defer wait.Done()
			if err := r.Read(ctx, s.page); err != nil && !errors.Is(err, errEnough) && ctx.Err() == nil {
				return err
			}
			return nil
		})
	}
	g.Go("window", func(ctx context.Context) error {
		timer := s.env.Clock.NewTimer(s.window)
		defer timer.Stop()
		select {
		case <-timer.C():
			cancel()
		case <-ctx.Done():
		}
		return nil
	})
	wait.Wait()
	return g.Stop(context.WithoutCancel(ctx))
}

// page counts what a page has.
func (s *stats) page(p client.Page) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range p.Records {
		key := aws.ToString(r.PartitionKey)
		s.shards[p.ShardID].add(1, int64(len(r.Data)+len(key)))
		s.keys.add(key)
		at := aws.ToTime(r.ApproximateArrivalTimestamp)
		if s.first.IsZero() || at.Before(s.first) {
			s.first = at
		}
		if at.After(s.last) {
			s.last = at
		}
	}
	if !s.live && p.Behind == 0 {
		return errEnough
	}
	return nil
}

func (s *stats) sum(out *statsResult) {
	for _, sh := range out.Shards {
		sh.over(out.Seconds)
		out.Total.add(sh.Records, sh.Bytes)
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
