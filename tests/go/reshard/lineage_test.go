package reshard

import (
	"context"
	"math/big"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// shard is a shard with its numbers read.
type shard struct {
	id         string
	start, end *big.Int
	first      *big.Int // sequence number
	last       *big.Int // nil while open
	parents    []string
}

func number(text *string) *big.Int {
	n, _ := new(big.Int).SetString(aws.ToString(text), 10)
	return n
}

func parse(s types.Shard) shard {
	out := shard{
		id: *s.ShardId, start: number(s.HashKeyRange.StartingHashKey), end: number(s.HashKeyRange.EndingHashKey),
		first: number(s.SequenceNumberRange.StartingSequenceNumber), last: number(s.SequenceNumberRange.EndingSequenceNumber),
	}
	for _, p := range []*string{s.ParentShardId, s.AdjacentParentShardId} {
		if p != nil {
			out.parents = append(out.parents, *p)
		}
	}
	return out
}

func (s shard) middle() string {
	sum := new(big.Int).Add(s.start, s.end)
	return sum.Rsh(sum, 1).String()
}

// openShards returns the open shards by rising range.
func openShards(ctx context.Context, c *kinesis.Client) ([]shard, error) {
	out, err := c.ListShards(ctx, &kinesis.ListShardsInput{
		StreamName: aws.String(stream), ShardFilter: &types.ShardFilter{Type: types.ShardFilterTypeAtLatest},
	})
	if err != nil {
		return nil, err
	}
	list := make([]shard, len(out.Shards))
	for i, s := range out.Shards {
		list[i] = parse(s)
	}
	slices.SortFunc(list, func(a, b shard) int { return a.start.Cmp(b.start) })
	return list, nil
}

// tiles returns what ranges cover, nil if they leave a gap or overlap.
func tiles(list []shard) (start, end *big.Int) {
	slices.SortFunc(list, func(a, b shard) int { return a.start.Cmp(b.start) })
	for i := 1; i < len(list); i++ {
		if new(big.Int).Sub(list[i].start, list[i-1].end).Cmp(big.NewInt(1)) != 0 {
			return nil, nil
		}
	}
	return list[0].start, list[len(list)-1].end
}

// checkLineage: the open shards tile the key space; every shard but the first
// ones descends from closed ones, whose ranges are those of their children and
// whose sequence numbers end below.
func checkLineage(t *testing.T, list []types.Shard, initial int) {
	t.Helper()
	byID := map[string]shard{}
	children := map[string][]shard{}
	var open []shard
	for i, raw := range list {
		s := parse(raw)
		byID[s.id] = s
		if s.last == nil {
			open = append(open, s)
		}
		if (len(s.parents) == 0) != (i < initial) {
			t.Errorf("%s has the parents %v", s.id, s.parents)
		}
		for _, p := range s.parents {
			parent, known := byID[p]
			if !known || parent.last == nil || parent.last.Cmp(s.first) >= 0 {
				t.Errorf("%s begins at %v, its parent %s ends at %v", s.id, s.first, p, parent.last)
			}
			children[p] = append(children[p], s)
		}
	}
	if start, end := tiles(open); start == nil || start.Sign() != 0 || end.Cmp(new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(1))) != 0 {
		t.Errorf("the open shards do not tile the key space: %v", open)
	}
	for id, s := range byID {
		if s.last == nil {
			if len(children[id]) > 0 {
				t.Errorf("%s is open and has children", id)
			}
			continue
		}
		if len(children[id]) == 0 {
			t.Errorf("%s is closed without children", id)
			continue
		}
		var parents []shard
		for _, p := range children[id][0].parents {
			parents = append(parents, byID[p])
		}
		a, b := tiles(parents)
		c, d := tiles(children[id])
		if a == nil || c == nil || a.Cmp(c) != 0 || b.Cmp(d) != 0 {
			t.Errorf("the children of %s do not cover what their parents did", id)
		}
	}
}

// checkChildren: a shard read to its end named the children that the listing has.
func checkChildren(t *testing.T, list []types.Shard, s types.Shard, children []types.ChildShard) {
	t.Helper()
	var want, got []string
	for _, other := range list {
		if slices.Contains(parse(other).parents, *s.ShardId) {
			want = append(want, *other.ShardId)
		}
	}
	for _, c := range children {
		got = append(got, *c.ShardId)
		if !slices.Contains(c.ParentShards, *s.ShardId) {
			t.Errorf("child %s of %s names the parents %v", *c.ShardId, *s.ShardId, c.ParentShards)
		}
	}
	if !slices.Equal(got, want) || (len(got) == 0) != (s.SequenceNumberRange.EndingSequenceNumber == nil) {
		t.Errorf("%s was read to its end and named %v, listed are %v", *s.ShardId, got, want)
	}
}
