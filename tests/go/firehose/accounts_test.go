package firehose

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"thalweg/tests/harness"
	"thalweg/tests/sdk"
)

// TestAccounts has a guest read a stream of another account, which its policy must
// allow by the very action, and deliver into a bucket of it, which nothing allows.
func TestAccounts(t *testing.T) {
	const owner, other = "000000000000", "111111111111"
	var host, guest harness.Key
	s := suiteAs(t, func(server *harness.Server) harness.Key {
		for account, key := range map[string]*harness.Key{owner: &host, other: &guest} {
			var err error
			if *key, err = server.CreateKey(t.Context(), account); err != nil {
				t.Fatal(err)
			}
		}
		return host
	}, "--auth", "strict")
	mine := s.of(t)
	mine.client, mine.s3 = clientAs(guest, s.server.URL(), http.DefaultTransport), bucketsAs(guest, s.server.URL())
	if _, err := mine.s3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("guests")}); err != nil {
		t.Fatal(err)
	}
	streams := sdk.Client(s.server.URL(), sdk.NoRetry, sdk.As(host.AccessKey, host.SecretKey))
	if _, err := sdk.CreateStream(t.Context(), streams, "source", 1); err != nil {
		t.Fatal(err)
	}
	arn := "arn:aws:kinesis:" + sdk.Region + ":" + owner + ":stream/source"
	read := &firehose.CreateDeliveryStreamInput{
		DeliveryStreamName: aws.String("read"), DeliveryStreamType: types.DeliveryStreamTypeKinesisStreamAsSource,
		KinesisStreamSourceConfiguration: &types.KinesisStreamSourceConfiguration{KinesisStreamARN: &arn, RoleARN: aws.String("arn:aws:iam::" + other + ":role/firehose")},
		ExtendedS3DestinationConfiguration: &types.ExtendedS3DestinationConfiguration{BucketARN: aws.String("arn:aws:s3:::guests"), RoleARN: role,
			BufferingHints: &types.BufferingHints{SizeInMBs: aws.Int32(1), IntervalInSeconds: aws.Int32(0)}},
	}
	for _, allowed := range []string{"", "kinesis:PutRecord", "kinesis:DescribeStream*", "kinesis:GetRecords"} {
		if allowed != "" {
			text := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":%q},"Action":%q,"Resource":%q}]}`, other, allowed, arn)
			if _, err := streams.PutResourcePolicy(t.Context(), &kinesis.PutResourcePolicyInput{ResourceARN: &arn, Policy: &text}); err != nil {
				t.Fatal(err)
			}
		}
		_, err := mine.client.CreateDeliveryStream(t.Context(), read)
		var answer smithy.APIError
		if granted := allowed == "kinesis:GetRecords"; granted && err != nil ||
			!granted && (!errors.As(err, &answer) || answer.ErrorCode() != "AccessDeniedException" || !strings.Contains(answer.ErrorMessage(), "kinesis:GetRecords")) {
			t.Fatalf("with %q allowed: %v", allowed, err)
		}
	}
	if _, err := streams.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("source"), PartitionKey: aws.String("k"), Data: []byte("shared\n")}); err != nil {
		t.Fatal(err)
	}
	mine.flushOf(other, "read")
	got, err := mine.s3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("guests")})
	if err != nil || len(got.Contents) != 1 {
		t.Errorf("the guest's bucket: %+v, %v", got, err)
	}
	if _, err := s.s3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("guests")}); err == nil {
		t.Error("the stream's owner may list the guest's bucket")
	}

	mine.create("intruder", "theirs/", nil)
	if _, err := mine.client.PutRecord(t.Context(), &firehose.PutRecordInput{DeliveryStreamName: aws.String("intruder"), Record: &types.Record{Data: []byte("x")}}); err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(s.server.Output(), "S3.AccessDenied: The bucket belongs to another account.") {
		if err := pause(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if found := s.objects(""); len(found) != 0 {
		t.Errorf("a guest's objects are in the bucket: %v", found)
	}
}
