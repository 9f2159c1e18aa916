package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/spf13/cobra"

	"thalweg/internal/client"
)

func (t *target) streamTail() *cobra.Command {
	var from, shard, consumer string
	var n int64
	var raw bool
	c := &cobra.Command{Use: "tail NAME", Short: "Print records as they arrive, one a line",
		Long: `Print records as they arrive, one a line, those of one partition key in order.
Where a shard was or is split or merged, its children follow when it has ended.
A record that is not text on one line is printed as a JSON string, or as base64:
and its bytes. With -o json each line is an object that also holds the shard, the
sequence number, the partition key and the time of arrival. A record in which the
Kinesis Producer Library packed several is taken apart, unless --raw is given.
With --consumer the server pushes the records to a registered consumer as they
arrive; without it they are asked for ten times a second.`,
		Example: "  thalweg stream tail arena --from trim-horizon -n 10 -o json\n  thalweg stream tail arena --consumer board", Args: exactly("a NAME")}
	c.Flags().StringVar(&from, "from", "latest", "`PLACE` to begin at: trim-horizon, latest, a time (2006-01-02T15:04:05Z, -5m, Unix seconds) or a sequence number")
	c.Flags().StringVar(&shard, "shard", "", "read this shard only, by `ID`, to its end")
	c.Flags().StringVar(&consumer, "consumer", "", "read as this registered consumer, by `NAME`, over enhanced fan-out")
	c.Flags().Int64VarP(&n, "count", "n", 0, "end after this many records; 0 is never")
	c.Flags().BoolVar(&raw, "raw", false, "print aggregated records as they are")
	c.RunE = t.onStream(func(ctx context.Context, cl *client.Client, name string) error {
		start, only, err := parseStart(from, t.env.Clock.Now())
		if err != nil {
			return err
		}
		if only != "" && shard != "" && only != shard {
			return usagef("", "that sequence number is of %s, not of %s", only, shard)
		}
		return t.tail(ctx, cl, name, tailing{start: start, first: cmp.Or(shard, only), alone: shard != "", count: n, raw: raw, consumer: consumer})
	})
	return c
}

// parseStart reads --from. A sequence number also tells its shard.
func parseStart(from string, now time.Time) (start client.Start, shard string, err error) {
	switch strings.ToLower(from) {
	case "trim-horizon":
		return client.TrimHorizon(), "", nil
	case "latest":
		return client.Latest(), "", nil
	}
	if len(from) >= 50 && strings.Trim(from, "0123456789") == "" {
		shard, ok := shardOf(from)
		if !ok {
			return start, "", usagef("", "%q is not a sequence number", from)
		}
		return client.Start{Type: types.ShardIteratorTypeAtSequenceNumber, Sequence: from}, shard, nil
	}
	at := time.Time{}
	if secs, ferr := strconv.ParseFloat(from, 64); ferr == nil && secs > 0 && secs < 1e11 {
		at = time.UnixMilli(int64(secs * 1000))
	} else if d, derr := time.ParseDuration(from); derr == nil && d < 0 {
		at = now.Add(d)
	} else if at, err = time.Parse(time.RFC3339, from); err != nil {
		return start, "", usagef("write trim-horizon, latest, 2026-01-31T12:00:00Z, -5m or a sequence number", "--from %q is no place in a stream", from)
	}
	return client.Start{Type: types.ShardIteratorTypeAtTimestamp, Time: at}, "", nil
}

// shardOf returns the shard of a sequence number, which holds its index in the
// eight hexadecimal digits before the last.
func shardOf(seq string) (string, bool) {
	n, ok := new(big.Int).SetString(seq, 10)
	if !ok || n.BitLen() > 188 {
		return "", false
	}
	index := new(big.Int).And(n.Rsh(n, 4), big.NewInt(0xffffffff)).Uint64()
	return fmt.Sprintf("shardId-%012d", index), true
}

var errEnough = errors.New("enough")

// tailing is what to print.
type tailing struct {
	start client.Start
	first string // a shard to begin with; "" is all
	alone bool   // without those it is split or merged into
	count int64  // of records; 0 is all
	raw   bool
	// consumer is the name of one to read as; "" is nobody.
	consumer string
}

func (t *target) tail(ctx context.Context, c *client.Client, name string, o tailing) error {
	shards, err := c.ListAllShards(ctx, name)
	if err != nil {
		return err
	}
	out := &printer{
		out: bufio.NewWriter(t.env.Stdout), json: t.out == formatJSON, raw: o.raw, ranges: rangesOf(shards), left: o.count, bounded: o.count > 0,
	}
	if o.first != "" {
		if shards = slices.DeleteFunc(shards, func(s types.Shard) bool { return aws.ToString(s.ShardId) != o.first }); len(shards) == 0 {
			return &failure{msg: "stream " + name + " has no shard " + o.first, hint: "see " + t.env.program() + " stream describe " + name}
		}
	}
	r := &client.Reader{
		API: c, Clock: t.env.Clock, Stream: name, Idle: 100 * time.Millisecond, Page: out.page,
		List: func(ctx context.Context) ([]types.Shard, error) { return c.ListAllShards(ctx, name) },
		Start: func(_ string, descended bool) (client.Start, error) {
			if descended {
				return client.TrimHorizon(), nil
			}
			return o.start, nil
		},
	}
	if o.consumer != "" {
		d, err := t.consumer(ctx, c, name, o.consumer)
		if err != nil {
			return err
		}
		r.Consumer, r.Push = aws.ToString(d.ConsumerARN), c
	}
	if o.count > 0 && o.count < 10_000 {
		r.Limit = int32(o.count)
	}
	if o.alone {
		r.Page = func(p client.Page) error {
			if err := out.page(p); err != nil || !p.Ended {
				return err
			}
			return errEnough
		}
	}
	if err := r.Open(ctx, shards); err != nil {
		return err
	}
	if err := r.Read(ctx); err != nil && !errors.Is(err, errEnough) && ctx.Err() == nil {
		return err
	}
	return nil
}
