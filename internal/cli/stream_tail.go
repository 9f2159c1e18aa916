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
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/spf13/cobra"

	"thalweg/internal/client"
	"thalweg/internal/lifecycle"
)

func (t *target) streamTail() *cobra.Command {
	var from, shard string
	var n int64
	var raw bool
	c := &cobra.Command{Use: "tail NAME", Short: "Print records as they arrive, one a line",
		Long: `Print records as they arrive, one a line, those of one shard in order.
A record that is not text on one line is printed as a JSON string, or as base64:
and its bytes. With -o json each line is an object that also holds the shard, the
sequence number, the partition key and the time of arrival. A record in which the
Kinesis Producer Library packed several is taken apart, unless --raw is given.`,
		Example: "  thalweg stream tail arena --from trim-horizon -n 10 -o json", Args: exactly("a NAME")}
	c.Flags().StringVar(&from, "from", "latest", "`PLACE` to begin at: trim-horizon, latest, a time (2006-01-02T15:04:05Z, -5m, Unix seconds) or a sequence number")
	c.Flags().StringVar(&shard, "shard", "", "read this shard only, by `ID`")
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
		return t.tail(ctx, cl, name, start, cmp.Or(shard, only), n, raw)
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

func (t *target) tail(ctx context.Context, c *client.Client, name string, start client.Start, only string, n int64, raw bool) error {
	shards, err := c.ListAllShards(ctx, name)
	if err != nil {
		return err
	}
	if only != "" {
		if shards = slices.DeleteFunc(shards, func(s types.Shard) bool { return aws.ToString(s.ShardId) != only }); len(shards) == 0 {
			return &failure{msg: "stream " + name + " has no shard " + only, hint: "see " + t.env.program() + " stream describe " + name}
		}
	}
	out := &printer{out: bufio.NewWriter(t.env.Stdout), json: t.out == formatJSON, raw: raw, ranges: rangesOf(shards), left: n, bounded: n > 0}
	g := lifecycle.NewGroup(ctx)
	var readers sync.WaitGroup
	for _, s := range shards {
		r := &client.Shard{API: c, Clock: t.env.Clock, Stream: name, ID: aws.ToString(s.ShardId), Start: start, Idle: 100 * time.Millisecond}
		if n > 0 && n < 10_000 {
			r.Limit = int32(n)
		}
		if err := r.Open(ctx); err != nil {
			return errors.Join(err, g.Stop(context.WithoutCancel(ctx)))
		}
		readers.Add(1)
		g.Go("read "+r.ID, func(ctx context.Context) error {
			defer readers.Done()
			return r.Read(ctx, out.page)
		})
	}
	readers.Wait()
	err = g.Stop(context.WithoutCancel(ctx))
	if errors.Is(err, errEnough) || ctx.Err() != nil {
		return nil
	}
	return err
}
