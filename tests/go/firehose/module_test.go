package firehose

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"

	"thalweg/tests/harness"
)

// TestModule transforms records by a Go program that is compiled to WebAssembly, while
// the server is killed.
func TestModule(t *testing.T) {
	module := filepath.Join(t.TempDir(), "transform.wasm")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", module, "./testdata/transform")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("compile the module: %v\n%s", err, out)
	}
	s := newSuite(t, "--lambda", "double=file://"+module)
	s.create("numbers", "numbers/", func(in *firehose.CreateDeliveryStreamInput) {
		d := in.ExtendedS3DestinationConfiguration
		d.ErrorOutputPrefix = aws.String("errors/")
		d.ProcessingConfiguration = &types.ProcessingConfiguration{Enabled: aws.Bool(true), Processors: []types.Processor{{
			Type: types.ProcessorTypeLambda, Parameters: []types.ProcessorParameter{{ParameterName: types.ProcessorParameterNameLambdaArn,
				ParameterValue: aws.String("arn:aws:lambda:us-east-1:000000000000:function:double:1")}}}}}
	})
	const records, each, kills = 3000, 100, 3
	puts := make(chan struct{}, records/each)
	err := harness.Parallel(t.Context(), 2, func(ctx context.Context, i int) error {
		if i == 1 {
			for range kills {
				for range records / each / (kills + 1) {
					select {
					case <-puts:
					case <-ctx.Done():
						return ctx.Err()
					}
				}
				if err := s.server.Kill(); err != nil {
					return err
				}
				if err := s.server.Restart(ctx); err != nil {
					return err
				}
			}
			return nil
		}
		for n := 0; n < records; n += each {
			in := &firehose.PutRecordBatchInput{DeliveryStreamName: aws.String("numbers")}
			for k := range each {
				in.Records = append(in.Records, types.Record{Data: fmt.Appendf(nil, "%d\n", n+k)})
			}
			if _, err := s.client.PutRecordBatch(ctx, in, patient); err != nil {
				return err
			}
			puts <- struct{}{}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.flush("numbers")
	var got, want []string
	for _, body := range s.objects("numbers/") {
		for line := range bytes.Lines(body) {
			got = append(got, string(line))
		}
	}
	failed := 0
	for n := range records {
		switch {
		case n%10 == 7:
			failed++
		case n%5 != 0:
			want = append(want, fmt.Sprintf("%d\n", 2*n))
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%d records are delivered, not %d", len(got), len(want))
	}
	for _, body := range s.objects("errors/") {
		failed -= bytes.Count(body, []byte(`"errorCode":"Lambda.ProcessingFailedStatus"`))
	}
	if failed != 0 {
		t.Errorf("%d records more failed than are in the error output", failed)
	}
}
