package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"thalweg/internal/clock"
)

// lineage holds one record for each shard; shards with children are closed.
//
//	0 -> 2, 3    1, 3 -> 4    2, 4 -> 5
var lineage = map[string][]string{"0": {"2", "3"}, "1": {"4"}, "3": {"4"}, "2": {"5"}, "4": {"5"}}

func lineageAbove(shard string) (out []string) {
	for p, children := range lineage {
		if slices.Contains(children, shard) {
			out = append(out, p)
		}
	}
	slices.Sort(out)
	return out
}

// fakeLineage answers with lineage; an iterator is the shard's id.
type fakeLineage struct {
	childless bool // as servers that do not name children

	mu     sync.Mutex
	starts map[string]types.ShardIteratorType
}

func (f *fakeLineage) GetShardIterator(_ context.Context, in *kinesis.GetShardIteratorInput, _ ...func(*kinesis.Options)) (*kinesis.GetShardIteratorOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.starts[*in.ShardId] = in.ShardIteratorType
	return &kinesis.GetShardIteratorOutput{ShardIterator: in.ShardId}, nil
}

func (f *fakeLineage) GetRecords(_ context.Context, in *kinesis.GetRecordsInput, _ ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error) {
	shard := *in.ShardIterator
	out := &kinesis.GetRecordsOutput{MillisBehindLatest: aws.Int64(0)}
	if rest, again := strings.CutSuffix(shard, "'"); again {
		shard = rest
		if lineage[shard] == nil {
			return nil, errors.New("stop") // the open shard, at its tip
		}
		for _, c := range lineage[shard] {
			if !f.childless {
				out.ChildShards = append(out.ChildShards, types.ChildShard{ShardId: aws.String(c), ParentShards: lineageAbove(c)})
			}
		}
		return out, nil
	}
	out.Records = []types.Record{{SequenceNumber: aws.String(shard), Data: []byte(shard)}}
	out.NextShardIterator = aws.String(shard + "'")
	return out, nil
}

func shardList(list ...string) (out []types.Shard) {
	for _, id := range list {
		s := types.Shard{ShardId: aws.String(id)}
		if p := lineageAbove(id); len(p) > 0 {
			s.ParentShardId = aws.String(p[0])
			if len(p) > 1 {
				s.AdjacentParentShardId = aws.String(p[1])
			}
		}
		out = append(out, s)
	}
	return out
}

// Every shard is read once, after its parents, whatever of it was listed at first.
func TestReaderFollows(t *testing.T) {
	for _, c := range []struct {
		listed    []string
		childless bool
		want      string
	}{
		{listed: []string{"0", "1"}, want: "012345"},
		{listed: []string{"5", "4", "3", "2", "1", "0"}, want: "012345"},
		{listed: []string{"0", "1", "2", "3", "4", "5"}, childless: true, want: "012345"},
		{listed: []string{"2", "4", "1"}, want: "1245"},
		{listed: []string{"3"}, want: "345"},
		{listed: []string{"0"}, want: "02345"},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeLineage{childless: c.childless, starts: map[string]types.ShardIteratorType{}}
			var mu sync.Mutex
			var read []string
			r := &Reader{API: f, Clock: clock.System(), Stream: "s",
				List: func(context.Context) ([]types.Shard, error) { return shardList("0", "1", "2", "3", "4", "5"), nil },
				Start: func(shard string, descended bool) (Start, error) {
					if descended == slices.Contains(c.listed, shard) {
						t.Errorf("%v: %s descended: %v", c.listed, shard, descended)
					}
					if descended {
						return TrimHorizon(), nil
					}
					return Latest(), nil
				},
				Page: func(p Page) error {
					mu.Lock()
					defer mu.Unlock()
					for _, rec := range p.Records {
						read = append(read, string(rec.Data))
					}
					return nil
				}}
			if err := r.Open(t.Context(), shardList(c.listed...)); err != nil {
				t.Fatal(err)
			}
			if err := r.Read(t.Context()); err == nil || !strings.Contains(err.Error(), "stop") {
				t.Errorf("%v: %v", c.listed, err)
			}
			for i, shard := range read {
				for _, p := range lineageAbove(shard) {
					if slices.Contains(read[i:], p) {
						t.Errorf("%v: read %v", c.listed, read)
					}
				}
			}
			slices.Sort(read)
			if got := strings.Join(read, ""); got != c.want {
				t.Errorf("%v: read %s, want %s", c.listed, got, c.want)
			}
			for _, shard := range read {
				want := types.ShardIteratorTypeTrimHorizon
				if slices.Contains(c.listed, shard) {
					want = types.ShardIteratorTypeLatest
				}
				if f.starts[shard] != want {
					t.Errorf("%v: %s began at %s", c.listed, shard, f.starts[shard])
				}
			}
		})
	}
}

func TestReaderStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeLineage{starts: map[string]types.ShardIteratorType{}}
		enough := errors.New("enough")
		r := &Reader{API: f, Clock: clock.System(), Stream: "s",
			Start: func(shard string, descended bool) (Start, error) {
				if shard == "2" {
					return Start{}, fmt.Errorf("no place in %s", shard)
				}
				return TrimHorizon(), nil
			},
			Page: func(p Page) error {
				if p.ShardID == "1" {
					return enough
				}
				return nil
			}}
		for _, c := range []struct{ shard, want string }{{"0", "no place"}, {"1", "enough"}, {"2", "no place"}} {
			err := r.Open(t.Context(), shardList(c.shard))
			if err == nil {
				err = r.Read(t.Context())
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v", c.shard, err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		if err := r.Open(ctx, shardList("3")); err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := r.Read(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}
