package thalwegtest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"thalweg/thalwegtest"
)

// newClient returns the AWS SDK's client for a test's server.
func newClient(srv *thalwegtest.Server) *kinesis.Client {
	return kinesis.New(kinesis.Options{
		BaseEndpoint: aws.String(srv.Endpoint),
		Region:       srv.Region,
		Credentials:  credentials.NewStaticCredentialsProvider(srv.AccessKeyID, srv.SecretAccessKey, ""),
	})
}

// A test makes a server, puts a record through the AWS SDK, and reads it back.
func ExampleNew() {
	test := func(t testing.TB) {
		client := newClient(thalwegtest.New(t))
		ctx := context.Background()
		if _, err := client.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: aws.String("arena"), ShardCount: aws.Int32(1)}); err != nil {
			t.Fatal(err)
		}
		put, err := client.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: aws.String("arena"), PartitionKey: aws.String("ann"), Data: []byte("hello")})
		if err != nil {
			t.Fatal(err)
		}
		it, err := client.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{StreamName: aws.String("arena"), ShardId: put.ShardId,
			ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
		if err != nil {
			t.Fatal(err)
		}
		got, err := client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: it.ShardIterator})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range got.Records {
			fmt.Printf("%s: %s\n", *r.PartitionKey, r.Data)
		}
	}
	run(test)
	// Output: ann: hello
}
