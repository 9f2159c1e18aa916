package cli

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/spf13/cobra"

	"thalweg/internal/client"
)

func (t *target) streamReshard() *cobra.Command {
	var shards int32
	c := &cobra.Command{Use: "reshard NAME", Short: "Change how many shards a stream has",
		Long: `Make --shards shards of equal ranges out of those that a stream has, and wait until
they take records. Records stay where they are; readers follow from the closed
shards to the new ones. One step at most doubles or halves the shards, so it may
take several, of which a stream allows ten in 24 hours.`,
		Example: "  thalweg stream reshard arena --shards 8", Args: exactly("a NAME")}
	c.Flags().Int32Var(&shards, "shards", 0, "the `NUMBER` of shards to have")
	c.RunE = t.onStream(func(ctx context.Context, cl *client.Client, name string) error {
		if shards < 1 {
			return usagef("", "--shards needs a number from 1 up")
		}
		return t.reshard(ctx, cl, name, shards)
	})
	return c
}

// resharded is what a reshard did.
type resharded struct {
	Name   string  `json:"name"`
	Before int32   `json:"before"`
	After  int32   `json:"after"`
	Steps  []int32 `json:"steps"` // shards after each
}

func (t *target) reshard(ctx context.Context, c *client.Client, name string, target int32) error {
	done := resharded{Name: name, Steps: []int32{}}
	for {
		out, err := c.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: aws.String(name)})
		if err != nil {
			return err
		}
		done.After = aws.ToInt32(out.StreamDescriptionSummary.OpenShardCount)
		if len(done.Steps) == 0 {
			done.Before = done.After
		}
		if len(done.Steps) > 0 && done.After == target {
			break
		}
		next := step(done.After, target)
		_, err = c.UpdateShardCount(ctx, &kinesis.UpdateShardCountInput{
			StreamName: aws.String(name), TargetShardCount: aws.Int32(next), ScalingType: types.ScalingTypeUniformScaling,
		})
		if err == nil {
			err = c.WaitActive(ctx, name)
		}
		if err != nil && len(done.Steps) > 0 {
			return fmt.Errorf("%s has %s, and no more steps could be made: %w", name, plural(int(done.After), "shard"), err)
		}
		if err != nil {
			return err
		}
		done.Steps = append(done.Steps, next)
		if _, ok := terminal(t.env.Stderr); ok && t.out == formatTable && next != target {
			fmt.Fprintf(t.env.Stderr, "%s has %s\n", name, plural(int(next), "shard"))
		}
	}
	return t.env.print(t.out, done, func(w *tabwriter.Writer) {
		by := ""
		if len(done.Steps) > 1 {
			by = strings.Trim(strings.ReplaceAll(fmt.Sprint(done.Steps[:len(done.Steps)-1]), " ", ", "), "[]")
			by = ", by way of " + by
		}
		row(w, fmt.Sprintf("stream %s has %s instead of %d%s", name, plural(int(done.After), "shard"), done.Before, by))
	})
}

// step is the number of shards nearest to target that one call reaches from now.
func step(now, target int32) int32 { return min(max(target, (now+1)/2), 2*now) }
