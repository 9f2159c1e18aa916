package cli

import (
	"bufio"
	"context"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/spf13/cobra"

	"thalweg/internal/client"
)

func (e Env) firehoseCmd() *cobra.Command {
	t := &target{env: e}
	api := []*cobra.Command{t.firehoseLs(), t.firehoseCreate(), t.firehoseDescribe(), t.firehosePut(), t.firehoseDelete()}
	for _, c := range api {
		t.flagsOf(c)
	}
	return group("firehose", "Make, fill, watch and remove delivery streams",
		"  thalweg firehose create events --bucket landing\n  thalweg firehose explain events",
		append(api, e.firehoseExplain(), e.firehoseLedger(), e.firehoseWhere(), e.firehoseReplay(), e.firehoseFlush(), e.firehoseTry())...)
}

// onFirehose is run for commands that use the API.
func (t *target) onFirehose(fn func(ctx context.Context, c *firehose.Client, args []string) error) func(*cobra.Command, []string) error {
	return t.run(func(ctx context.Context, c *client.Client, args []string) error { return fn(ctx, c.Firehose(), args) })
}

func (t *target) firehoseLs() *cobra.Command {
	return &cobra.Command{Use: "ls", Short: "List delivery streams", Example: "  thalweg firehose ls", Args: exactly(),
		RunE: t.onFirehose(func(ctx context.Context, c *firehose.Client, _ []string) error {
			names := []string{}
			in := &firehose.ListDeliveryStreamsInput{Limit: aws.Int32(1000)}
			for {
				out, err := c.ListDeliveryStreams(ctx, in)
				if err != nil {
					return err
				}
				names = append(names, out.DeliveryStreamNames...)
				if !aws.ToBool(out.HasMoreDeliveryStreams) || len(names) == 0 {
					break
				}
				in.ExclusiveStartDeliveryStreamName = aws.String(names[len(names)-1])
			}
			return t.env.print(t.out, names, func(w *tabwriter.Writer) {
				for _, n := range names {
					row(w, n)
				}
			})
		})}
}

func (t *target) firehoseCreate() *cobra.Command {
	var bucket, prefix, source, compression string
	var size, interval int32
	c := &cobra.Command{Use: "create NAME", Short: "Make a delivery stream into a bucket",
		Long: `Make a delivery stream into a bucket, from what is put to it or from a Kinesis
stream. For other destinations use the API: every AWS SDK and Terraform speak it.`,
		Example: "  thalweg firehose create events --bucket landing --prefix raw/ --compression GZIP", Args: exactly("a NAME")}
	fs := c.Flags()
	fs.StringVar(&bucket, "bucket", "", "`NAME` of the bucket")
	fs.StringVar(&prefix, "prefix", "", "`PREFIX` of the objects")
	fs.StringVar(&source, "source", "", "`ARN` of the Kinesis stream to read")
	fs.StringVar(&compression, "compression", "UNCOMPRESSED", "UNCOMPRESSED, GZIP, ZIP, Snappy or HADOOP_SNAPPY")
	fs.Int32Var(&size, "size", 5, "`MIB` after which a batch is delivered")
	fs.Int32Var(&interval, "interval", 60, "`SECONDS` after which a batch is delivered")
	c.RunE = t.onFirehose(func(ctx context.Context, cl *firehose.Client, args []string) error {
		if bucket == "" {
			return usagef("give --bucket NAME", "a delivery stream needs a bucket")
		}
		role := aws.String("arn:aws:iam::000000000000:role/firehose") // kept, never assumed
		in := &firehose.CreateDeliveryStreamInput{DeliveryStreamName: aws.String(args[0]),
			ExtendedS3DestinationConfiguration: &types.ExtendedS3DestinationConfiguration{
				BucketARN: aws.String("arn:aws:s3:::" + bucket), RoleARN: role, Prefix: aws.String(prefix),
				CompressionFormat: types.CompressionFormat(compression),
				BufferingHints:    &types.BufferingHints{SizeInMBs: &size, IntervalInSeconds: &interval},
			}}
		if source != "" {
			in.DeliveryStreamType = types.DeliveryStreamTypeKinesisStreamAsSource
			in.KinesisStreamSourceConfiguration = &types.KinesisStreamSourceConfiguration{KinesisStreamARN: &source, RoleARN: role}
		}
		out, err := cl.CreateDeliveryStream(ctx, in)
		if err != nil {
			return err
		}
		return t.env.print(t.out, map[string]string{"arn": aws.ToString(out.DeliveryStreamARN)}, func(w *tabwriter.Writer) {
			row(w, "made delivery stream "+args[0])
		})
	})
	return c
}

func (t *target) firehoseDescribe() *cobra.Command {
	return &cobra.Command{Use: "describe NAME", Short: "Show a delivery stream as the API describes it", Example: "  thalweg firehose describe events -o json",
		Args: exactly("a NAME"),
		RunE: t.onFirehose(func(ctx context.Context, c *firehose.Client, args []string) error {
			out, err := c.DescribeDeliveryStream(ctx, &firehose.DescribeDeliveryStreamInput{DeliveryStreamName: &args[0]})
			if err != nil {
				return err
			}
			d := out.DeliveryStreamDescription
			return t.env.print(t.out, d, func(w *tabwriter.Writer) {
				row(w, "NAME", "STATUS", "TYPE", "VERSION", "CREATED")
				row(w, aws.ToString(d.DeliveryStreamName), d.DeliveryStreamStatus, d.DeliveryStreamType, aws.ToString(d.VersionId),
					aws.ToTime(d.CreateTimestamp).UTC().Format("2006-01-02 15:04:05"))
			})
		})}
}

// putAtOnce is how many lines go in one call.
const putAtOnce = 100

func (t *target) firehosePut() *cobra.Command {
	return &cobra.Command{Use: "put NAME [TEXT...]", Short: "Put each TEXT, or each line of standard input, with its newline",
		Example: "  thalweg firehose put events '{\"score\":1}'\n  thalweg firehose put events < lines.ndjson", Args: cobra.MinimumNArgs(1),
		RunE: t.onFirehose(func(ctx context.Context, c *firehose.Client, args []string) error {
			var in io.Reader = t.env.Stdin
			if len(args) > 1 {
				in = strings.NewReader(strings.Join(args[1:], "\n") + "\n")
			}
			lines := bufio.NewScanner(in)
			lines.Buffer(nil, 1024000)
			var batch []types.Record
			total := 0
			put := func() error {
				if len(batch) == 0 {
					return nil
				}
				out, err := c.PutRecordBatch(ctx, &firehose.PutRecordBatchInput{DeliveryStreamName: &args[0], Records: batch})
				if err != nil {
					return err
				}
				if n := aws.ToInt32(out.FailedPutCount); n > 0 {
					return &failure{msg: plural(int(n), "record") + " of " + plural(len(batch), "record") + " failed"}
				}
				total += len(batch)
				batch = batch[:0]
				return nil
			}
			size := 0
			for lines.Scan() {
				if size += len(lines.Bytes()) + 1; len(batch) == putAtOnce || size > 3<<20 {
					if err := put(); err != nil {
						return err
					}
					size = len(lines.Bytes()) + 1
				}
				batch = append(batch, types.Record{Data: append([]byte(lines.Text()), '\n')})
			}
			if err := lines.Err(); err != nil {
				return err
			}
			if err := put(); err != nil {
				return err
			}
			return t.env.print(t.out, map[string]int{"put": total}, func(w *tabwriter.Writer) { row(w, "put "+plural(total, "record")) })
		})}
}

func (t *target) firehoseDelete() *cobra.Command {
	return &cobra.Command{Use: "delete NAME", Short: "Remove a delivery stream, with what it has not delivered", Example: "  thalweg firehose delete events",
		Args: exactly("a NAME"),
		RunE: t.onFirehose(func(ctx context.Context, c *firehose.Client, args []string) error {
			if _, err := c.DeleteDeliveryStream(ctx, &firehose.DeleteDeliveryStreamInput{DeliveryStreamName: &args[0]}); err != nil {
				return err
			}
			return t.env.print(t.out, map[string]string{"deleted": args[0]}, func(w *tabwriter.Writer) { row(w, "removed delivery stream "+args[0]) })
		})}
}
