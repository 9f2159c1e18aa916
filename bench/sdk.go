package main

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"thalweg/tests/sdk"
)

// sdkClient is what a user's program has: one client, many goroutines.
func sdkClient(s *server) *kinesis.Client {
	return sdk.Client("http://"+s.addr, sdk.NoRetry, sdk.As(s.accessKey, s.secretKey))
}

func nothing() error { return nil }

func sdkPut() workload {
	const stream = "sdk-put"
	return workload{
		name: "PutRecord 1 KiB x16", client: "aws-sdk-go-v2", conns: 16, stream: stream,
		open: func(s *server, _ options, conn int) (func() (int, error), func() error, error) {
			client := sdkClient(s)
			records := randomRecords(prebuilt, 1024, rand.New(rand.NewPCG(3, uint64(conn))))
			next := 0
			return func() (int, error) {
				r := records[next]
				next = (next + 1) % len(records)
				_, err := client.PutRecord(context.Background(), &kinesis.PutRecordInput{
					StreamName: aws.String(stream), PartitionKey: &r.Key, Data: r.Data,
				})
				return 1, err
			}, nothing, nil
		},
	}
}

func sdkPuts() workload {
	const stream = "sdk-puts"
	return workload{
		name: fmt.Sprintf("PutRecords %d x 1 KiB", perPuts), client: "aws-sdk-go-v2", conns: putsConns, stream: stream,
		open: func(s *server, _ options, conn int) (func() (int, error), func() error, error) {
			client := sdkClient(s)
			entries := make([]types.PutRecordsRequestEntry, perPuts)
			for i, r := range randomRecords(perPuts, 1024, rand.New(rand.NewPCG(4, uint64(conn)))) {
				entries[i] = types.PutRecordsRequestEntry{PartitionKey: aws.String(r.Key), Data: r.Data}
			}
			return func() (int, error) {
				out, err := client.PutRecords(context.Background(), &kinesis.PutRecordsInput{
					StreamName: aws.String(stream), Records: entries,
				})
				if err == nil && aws.ToInt32(out.FailedRecordCount) != 0 {
					err = fmt.Errorf("%d records failed", *out.FailedRecordCount)
				}
				return perPuts, err
			}, nothing, nil
		},
	}
}
