package cli

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/spf13/cobra"

	"thalweg/internal/client"
)

func (e Env) streamCmd() *cobra.Command {
	t := &target{env: e}
	c := group("stream", "Make, fill, read and remove streams",
		"  thalweg stream create arena --shards 4\n  thalweg stream tail arena",
		t.streamLs(), t.streamCreate(), t.streamDescribe(), t.streamPut(), t.streamTail(), t.streamStats(), t.streamReshard(),
		t.streamConsumers(), t.streamPolicy(), t.streamDelete())
	t.flags(c)
	return c
}

type streamRow struct {
	Name    string    `json:"name"`
	ARN     string    `json:"arn"`
	Status  string    `json:"status"`
	Mode    string    `json:"mode"`
	Created time.Time `json:"created"`
}

func (t *target) streamLs() *cobra.Command {
	return &cobra.Command{Use: "ls", Short: "List streams", Example: "  thalweg stream ls -o json", Args: exactly(),
		RunE: t.run(func(ctx context.Context, c *client.Client, _ []string) error {
			rows := []streamRow{}
			in := &kinesis.ListStreamsInput{}
			for {
				out, err := c.ListStreams(ctx, in)
				if err != nil {
					return err
				}
				for _, s := range out.StreamSummaries {
					r := streamRow{Name: aws.ToString(s.StreamName), ARN: aws.ToString(s.StreamARN), Status: string(s.StreamStatus),
						Created: aws.ToTime(s.StreamCreationTimestamp).UTC()}
					if s.StreamModeDetails != nil {
						r.Mode = string(s.StreamModeDetails.StreamMode)
					}
					rows = append(rows, r)
				}
				if in.NextToken = out.NextToken; in.NextToken == nil {
					break
				}
			}
			return t.env.print(t.out, rows, func(w *tabwriter.Writer) {
				row(w, "NAME", "STATUS", "MODE", "CREATED")
				for _, r := range rows {
					row(w, r.Name, r.Status, r.Mode, r.Created.Format(time.RFC3339))
				}
			})
		})}
}

func (t *target) streamCreate() *cobra.Command {
	var shards int32
	var onDemand bool
	var retention time.Duration
	c := &cobra.Command{Use: "create NAME", Short: "Make a stream and wait until it takes records",
		Example: "  thalweg stream create arena --shards 4 --retention 168h", Args: exactly("a NAME")}
	c.Flags().Int32Var(&shards, "shards", 1, "number of shards")
	c.Flags().BoolVar(&onDemand, "on-demand", false, "let the server choose the shards")
	c.Flags().DurationVar(&retention, "retention", 0, "how long records are kept, 24h to 8760h (default 24h)")
	c.MarkFlagsMutuallyExclusive("shards", "on-demand")
	c.RunE = t.run(func(ctx context.Context, cl *client.Client, args []string) error {
		name := args[0]
		hours := int32(retention / time.Hour)
		if retention != 0 && (hours < 24 || hours > 8760 || retention%time.Hour != 0) {
			return usagef("write whole hours from 24h to 8760h", "--retention %v is out of range", retention)
		}
		in := &kinesis.CreateStreamInput{StreamName: aws.String(name)}
		if onDemand {
			in.StreamModeDetails = &types.StreamModeDetails{StreamMode: types.StreamModeOnDemand}
		} else {
			in.ShardCount = aws.Int32(shards)
		}
		if _, err := cl.CreateStream(ctx, in); err != nil {
			return err
		}
		if err := cl.WaitActive(ctx, name); err != nil {
			return err
		}
		if hours > 24 {
			_, err := cl.IncreaseStreamRetentionPeriod(ctx, &kinesis.IncreaseStreamRetentionPeriodInput{StreamName: aws.String(name), RetentionPeriodHours: aws.Int32(hours)})
			if err != nil {
				return fmt.Errorf("the stream exists, but its retention could not be set: %w", err)
			}
		}
		d, err := describe(ctx, cl, name)
		if err != nil {
			return err
		}
		return t.env.print(t.out, d, func(w *tabwriter.Writer) {
			row(w, "made stream "+name+" with "+plural(len(d.Shards), "shard"))
		})
	})
	return c
}

type shardRow struct {
	ID            string `json:"id"`
	HashKeyStart  string `json:"hash_key_start"`
	HashKeyEnd    string `json:"hash_key_end"`
	SequenceStart string `json:"sequence_start"`
	SequenceEnd   string `json:"sequence_end,omitempty"`
	Parent        string `json:"parent,omitempty"`
	Adjacent      string `json:"adjacent_parent,omitempty"`
}

type streamDetail struct {
	streamRow
	RetentionHours int32      `json:"retention_hours"`
	Encryption     string     `json:"encryption"`
	Consumers      int32      `json:"consumers"`
	Shards         []shardRow `json:"shards"`
}

func describe(ctx context.Context, c *client.Client, name string) (*streamDetail, error) {
	out, err := c.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: aws.String(name)})
	if err != nil {
		return nil, err
	}
	s := out.StreamDescriptionSummary
	d := &streamDetail{
		streamRow: streamRow{Name: aws.ToString(s.StreamName), ARN: aws.ToString(s.StreamARN), Status: string(s.StreamStatus),
			Created: aws.ToTime(s.StreamCreationTimestamp).UTC()},
		RetentionHours: aws.ToInt32(s.RetentionPeriodHours), Encryption: string(s.EncryptionType), Consumers: aws.ToInt32(s.ConsumerCount),
		Shards: []shardRow{},
	}
	if s.StreamModeDetails != nil {
		d.Mode = string(s.StreamModeDetails.StreamMode)
	}
	shards, err := c.ListAllShards(ctx, name)
	if err != nil {
		return nil, err
	}
	for _, sh := range shards {
		r := shardRow{ID: aws.ToString(sh.ShardId), Parent: aws.ToString(sh.ParentShardId), Adjacent: aws.ToString(sh.AdjacentParentShardId)}
		if k := sh.HashKeyRange; k != nil {
			r.HashKeyStart, r.HashKeyEnd = aws.ToString(k.StartingHashKey), aws.ToString(k.EndingHashKey)
		}
		if n := sh.SequenceNumberRange; n != nil {
			r.SequenceStart, r.SequenceEnd = aws.ToString(n.StartingSequenceNumber), aws.ToString(n.EndingSequenceNumber)
		}
		d.Shards = append(d.Shards, r)
	}
	return d, nil
}

func (t *target) streamDescribe() *cobra.Command {
	return &cobra.Command{Use: "describe NAME", Short: "Show a stream and its shards", Example: "  thalweg stream describe arena", Args: exactly("a NAME"),
		RunE: t.onStream(func(ctx context.Context, c *client.Client, name string) error {
			d, err := describe(ctx, c, name)
			if err != nil {
				return err
			}
			return t.env.print(t.out, d, func(w *tabwriter.Writer) {
				row(w, "name", d.Name)
				row(w, "arn", d.ARN)
				row(w, "status", d.Status)
				row(w, "mode", d.Mode)
				row(w, "created", d.Created.Format(time.RFC3339))
				row(w, "retention", fmt.Sprintf("%dh", d.RetentionHours))
				row(w, "encryption", d.Encryption)
				w.Flush()
				row(w)
				row(w, "SHARD", "FIRST SEQUENCE NUMBER", "HASH KEYS FROM")
				for _, s := range d.Shards {
					closed := ""
					if s.SequenceEnd != "" {
						closed = " (closed)"
					}
					row(w, s.ID+closed, s.SequenceStart, s.HashKeyStart)
				}
			})
		})}
}

func (t *target) streamDelete() *cobra.Command {
	return &cobra.Command{Use: "delete NAME", Short: "Remove a stream and its records", Example: "  thalweg stream delete arena", Args: exactly("a NAME"),
		RunE: t.onStream(func(ctx context.Context, c *client.Client, name string) error {
			_, err := c.DeleteStream(ctx, &kinesis.DeleteStreamInput{StreamName: aws.String(name), EnforceConsumerDeletion: aws.Bool(true)})
			if err != nil {
				return err
			}
			return t.env.print(t.out, map[string]string{"deleted": name}, func(w *tabwriter.Writer) { row(w, "removed stream "+name) })
		})}
}
