package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"text/tabwriter"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/spf13/cobra"

	"thalweg/internal/client"
)

func (t *target) streamPolicy() *cobra.Command {
	return group("policy", "Share a stream with other accounts, or close it",
		"  thalweg stream policy put arena --file policy.json\n  thalweg stream policy get arena",
		t.policyGet(), t.policyPut(), t.policyRm())
}

// streamARN is the ARN of a stream of the caller's.
func streamARN(ctx context.Context, c *client.Client, name string) (*string, error) {
	out, err := c.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: aws.String(name)})
	if err != nil {
		return nil, err
	}
	return out.StreamDescriptionSummary.StreamARN, nil
}

func (t *target) policyGet() *cobra.Command {
	return &cobra.Command{Use: "get NAME", Short: "Print a stream's policy", Example: "  thalweg stream policy get arena", Args: exactly("a NAME"),
		RunE: t.onStream(func(ctx context.Context, c *client.Client, name string) error {
			resource, err := streamARN(ctx, c, name)
			if err != nil {
				return err
			}
			out, err := c.GetResourcePolicy(ctx, &kinesis.GetResourcePolicyInput{ResourceARN: resource})
			if err != nil {
				return err
			}
			return writeJSON(t.env.Stdout, json.RawMessage(aws.ToString(out.Policy)))
		})}
}

func (t *target) policyPut() *cobra.Command {
	var file string
	c := &cobra.Command{Use: "put NAME", Short: "Set a stream's policy",
		Long: `Set a stream's policy, in place of the one it has: a JSON document of IAM that
says who may do what to it. Other accounts may do what it allows; who is denied
something may not do it, in the stream's own account too.`,
		Example: "  thalweg stream policy put arena --file policy.json", Args: exactly("a NAME")}
	c.Flags().StringVar(&file, "file", "-", "`FILE` to read; - is standard input")
	c.RunE = t.onStream(func(ctx context.Context, cl *client.Client, name string) error {
		text, err := readText(t.env.Stdin, file)
		if err != nil {
			return err
		}
		resource, err := streamARN(ctx, cl, name)
		if err != nil {
			return err
		}
		if _, err := cl.PutResourcePolicy(ctx, &kinesis.PutResourcePolicyInput{ResourceARN: resource, Policy: aws.String(text)}); err != nil {
			return err
		}
		return t.env.print(t.out, map[string]string{"stream": name}, func(w *tabwriter.Writer) { row(w, "set the policy of stream "+name) })
	})
	return c
}

// maxPolicy is more than any policy may have.
const maxPolicy = 64 << 10

// readText reads a short file, or standard input for "-".
func readText(stdin io.Reader, file string) (string, error) {
	in := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", err
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxPolicy+1))
	if err == nil && len(b) > maxPolicy {
		err = errors.New("the policy is longer than 64 KiB")
	}
	return string(b), err
}

func (t *target) policyRm() *cobra.Command {
	return &cobra.Command{Use: "rm NAME", Short: "Remove a stream's policy", Example: "  thalweg stream policy rm arena", Args: exactly("a NAME"),
		RunE: t.onStream(func(ctx context.Context, c *client.Client, name string) error {
			resource, err := streamARN(ctx, c, name)
			if err != nil {
				return err
			}
			if _, err := c.DeleteResourcePolicy(ctx, &kinesis.DeleteResourcePolicyInput{ResourceARN: resource}); err != nil {
				return err
			}
			return t.env.print(t.out, map[string]string{"stream": name}, func(w *tabwriter.Writer) { row(w, "removed the policy of stream "+name) })
		})}
}
