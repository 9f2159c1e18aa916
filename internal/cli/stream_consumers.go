package cli

import (
	"context"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/spf13/cobra"

	"thalweg/internal/client"
)

func (t *target) streamConsumers() *cobra.Command {
	return group("consumers", "Register and remove those to whom records are pushed",
		"  thalweg stream consumers register arena board\n  thalweg stream tail arena --consumer board",
		t.consumersLs(), t.consumersRegister(), t.consumersDeregister())
}

type consumerRow struct {
	Name    string    `json:"name"`
	ARN     string    `json:"arn"`
	Status  string    `json:"status"`
	Created time.Time `json:"created"`
}

func consumerRowOf(c *types.Consumer) consumerRow {
	return consumerRow{Name: aws.ToString(c.ConsumerName), ARN: aws.ToString(c.ConsumerARN), Status: string(c.ConsumerStatus),
		Created: aws.ToTime(c.ConsumerCreationTimestamp).UTC()}
}

func (t *target) consumersLs() *cobra.Command {
	return &cobra.Command{Use: "ls NAME", Short: "List a stream's consumers", Example: "  thalweg stream consumers ls arena", Args: exactly("a NAME"),
		RunE: t.onStream(func(ctx context.Context, c *client.Client, name string) error {
			arn, err := streamARN(ctx, c, name)
			if err != nil {
				return err
			}
			rows := []consumerRow{}
			in := &kinesis.ListStreamConsumersInput{StreamARN: arn}
			for {
				out, err := c.ListStreamConsumers(ctx, in)
				if err != nil {
					return err
				}
				for i := range out.Consumers {
					rows = append(rows, consumerRowOf(&out.Consumers[i]))
				}
				if in.NextToken = out.NextToken; in.NextToken == nil {
					break
				}
			}
			return t.env.print(t.out, rows, func(w *tabwriter.Writer) {
				row(w, "NAME", "STATUS", "CREATED", "ARN")
				for _, r := range rows {
					row(w, r.Name, r.Status, r.Created.Format(time.RFC3339), r.ARN)
				}
			})
		})}
}

func (t *target) consumersRegister() *cobra.Command {
	return &cobra.Command{Use: "register NAME CONSUMER", Short: "Make a consumer of a stream",
		Example: "  thalweg stream consumers register arena board", Args: exactly("a NAME", "a CONSUMER"),
		RunE: t.onConsumer(func(ctx context.Context, c *client.Client, name, consumer string) error {
			arn, err := streamARN(ctx, c, name)
			if err != nil {
				return err
			}
			out, err := c.RegisterStreamConsumer(ctx, &kinesis.RegisterStreamConsumerInput{StreamARN: arn, ConsumerName: aws.String(consumer)})
			if err != nil {
				return err
			}
			r := consumerRowOf(out.Consumer)
			return t.env.print(t.out, r, func(w *tabwriter.Writer) { row(w, "registered consumer "+r.Name+", "+r.ARN) })
		})}
}

func (t *target) consumersDeregister() *cobra.Command {
	return &cobra.Command{Use: "deregister NAME CONSUMER", Short: "Remove a consumer, and end what it reads",
		Example: "  thalweg stream consumers deregister arena board", Args: exactly("a NAME", "a CONSUMER"),
		RunE: t.onConsumer(func(ctx context.Context, c *client.Client, name, consumer string) error {
			d, err := t.consumer(ctx, c, name, consumer)
			if err != nil {
				return err
			}
			if _, err := c.DeregisterStreamConsumer(ctx, &kinesis.DeregisterStreamConsumerInput{ConsumerARN: d.ConsumerARN}); err != nil {
				return err
			}
			return t.env.print(t.out, map[string]string{"deregistered": consumer}, func(w *tabwriter.Writer) { row(w, "removed consumer "+consumer) })
		})}
}

// onConsumer is onStream for commands whose second argument names a consumer.
func (t *target) onConsumer(fn func(ctx context.Context, c *client.Client, name, consumer string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		return t.onStream(func(ctx context.Context, c *client.Client, name string) error { return fn(ctx, c, name, args[1]) })(cmd, args)
	}
}

// consumer describes a stream's consumer, or says how to make it.
func (t *target) consumer(ctx context.Context, c *client.Client, name, consumer string) (*types.ConsumerDescription, error) {
	arn, err := streamARN(ctx, c, name)
	if err != nil {
		return nil, err
	}
	out, err := c.DescribeStreamConsumer(ctx, &kinesis.DescribeStreamConsumerInput{StreamARN: arn, ConsumerName: aws.String(consumer)})
	if client.Code(err) == "ResourceNotFoundException" {
		return nil, &failure{msg: "stream " + name + " has no consumer " + consumer,
			hint: "make it with: " + t.env.program() + " stream consumers register " + name + " " + consumer}
	}
	if err != nil {
		return nil, err
	}
	return out.ConsumerDescription, nil
}
