package firehose

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"thalweg/tests/sdk"
)

// TestAtRest searches every file of a killed server for what was put to an encrypted
// delivery stream, and for what was set aside of a Kinesis stream, of which the stream's
// own files, in the clear, have it. Nothing was delivered: there is no such bucket.
func TestAtRest(t *testing.T) {
	s := newSuite(t)
	far := func(in *firehose.CreateDeliveryStreamInput) {
		in.ExtendedS3DestinationConfiguration.BucketARN = aws.String("arn:aws:s3:::no-such-bucket")
	}
	s.create("sealed", "", func(in *firehose.CreateDeliveryStreamInput) {
		far(in)
		in.DeliveryStreamEncryptionConfigurationInput = &types.DeliveryStreamEncryptionConfigurationInput{KeyType: types.KeyTypeAwsOwnedCmk}
	})
	secret, open := strings.Repeat("secret-1 ", 100), strings.Repeat("open-2 ", 100)
	out, err := s.client.PutRecord(t.Context(), &firehose.PutRecordInput{DeliveryStreamName: aws.String("sealed"), Record: &types.Record{Data: []byte(secret)}})
	if err != nil || !*out.Encrypted {
		t.Fatalf("put: %+v, %v", out, err)
	}
	streams := sdk.Client(s.server.URL())
	if _, err := sdk.CreateStream(t.Context(), streams, "source", 1); err != nil {
		t.Fatal(err)
	}
	s.create("read", "", func(in *firehose.CreateDeliveryStreamInput) {
		far(in)
		in.DeliveryStreamType = types.DeliveryStreamTypeKinesisStreamAsSource
		in.KinesisStreamSourceConfiguration = &types.KinesisStreamSourceConfiguration{
			KinesisStreamARN: aws.String("arn:aws:kinesis:us-east-1:000000000000:stream/source"), RoleARN: role,
		}
	})
	if _, err := streams.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("source"), PartitionKey: aws.String("k"), Data: []byte(open)}); err != nil {
		t.Fatal(err)
	}
	plans := filepath.Join(s.server.DataDir(), "delivery", "plans")
	for {
		if list, err := os.ReadDir(plans); err == nil && len(list) == 1 {
			break
		}
		if err := pause(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.server.Kill(); err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	err = filepath.WalkDir(s.server.DataDir(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		for _, what := range []string{"secret-1", "open-2"} {
			if bytes.Contains(data, []byte(what)) {
				found[what] = append(found[what], path)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found["secret-1"]) > 0 {
		t.Errorf("an encrypted record stands in the clear in %q", found["secret-1"])
	}
	if len(found["open-2"]) == 0 {
		t.Error("a record of a stream that is not encrypted is not found: the search finds nothing")
	}
	for _, path := range found["open-2"] {
		if strings.Contains(path, "/delivery/") {
			t.Errorf("what was set aside stands in the clear in %s", path)
		}
	}
	if err := s.server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
}
