// Package sdk drives a server with aws-sdk-go-v2 the way the black-box tests
// need it: a client for one endpoint, a stream made and awaited, shards read
// to their tip or followed.
package sdk

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"thalweg/tests/ledger"
)

// The credentials and region that clients of an open server use.
const (
	AccessKey = "000000000000"
	SecretKey = "test"
	Region    = "us-east-1"
)

// Client returns a client of the server at url. Options come last.
func Client(url string, options ...func(*kinesis.Options)) *kinesis.Client {
	o := kinesis.Options{
		BaseEndpoint: aws.String(url),
		Region:       Region,
		Credentials:  credentials.NewStaticCredentialsProvider(AccessKey, SecretKey, ""),
		HTTPClient:   WholeBody(&http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}),
	}
	return kinesis.New(o, options...)
}

// WholeBody returns a client of the SDK that sends each request with a body that only
// net/http holds.
//
// The SDK closes the body that it gave as soon as an answer's headers are there;
// if net/http has sent the body but not yet seen its end, which happens when the
// server is fast and the client's cores are busy, that close reads as an error,
// net/http drops the connection, and reading the answer fails with "use of
// closed network connection" (aws-sdk-go-v2 issue 2737). The SDK retries that by
// default; these tests count every call and must not.
func WholeBody(c *http.Client) aws.HTTPClient { return &wholeBody{c} }

type wholeBody struct{ client *http.Client }

func (w *wholeBody) Do(r *http.Request) (*http.Response, error) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	own := r.Clone(r.Context())
	own.Body = io.NopCloser(bytes.NewReader(data))
	return w.client.Do(own)
}

// Lost tells a lost answer, one that never began (status 0) or broke off, from an
// answered error.
func Lost(err error) bool {
	var answer *awshttp.ResponseError
	return err != nil && !(errors.As(err, &answer) && answer.HTTPStatusCode() >= 300)
}

// OffsetOf is the offset in a sequence number: the 16 hexadecimal digits above the
// last 20, which hold it and one (docs/formats/sequence-numbers.md).
func OffsetOf(seq string) (int64, error) {
	n, ok := new(big.Int).SetString(seq, 10)
	if !ok {
		return 0, fmt.Errorf("%q is no sequence number", seq)
	}
	index := n.Rsh(n, 20*4)
	index.And(index, new(big.Int).SetUint64(1<<64-1))
	return index.Int64() - 1, nil
}

// NoRetry makes a client report the first failure.
func NoRetry(o *kinesis.Options) { o.Retryer = aws.NopRetryer{} }

// As signs with the given keys.
func As(accessKey, secretKey string) func(*kinesis.Options) {
	return func(o *kinesis.Options) {
		o.Credentials = credentials.NewStaticCredentialsProvider(accessKey, secretKey, "")
	}
}

// CreateStream makes a stream, waits until it is active and returns its shards.
func CreateStream(ctx context.Context, c *kinesis.Client, name string, shards int32) ([]types.Shard, error) {
	if _, err := c.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: &name, ShardCount: &shards}); err != nil {
		return nil, err
	}
	waiter := kinesis.NewStreamExistsWaiter(c, func(o *kinesis.StreamExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = 10*time.Millisecond, 500*time.Millisecond
	})
	if err := waiter.Wait(ctx, &kinesis.DescribeStreamInput{StreamName: &name}, time.Minute); err != nil {
		return nil, err
	}
	list, err := ListShards(ctx, c, name)
	if err != nil {
		return nil, err
	}
	if len(list) != int(shards) {
		return nil, fmt.Errorf("create stream: asked for %d shards, got %d", shards, len(list))
	}
	return list, nil
}

// ListShards returns all shards of a stream by rising id: parents come before
// their children.
func ListShards(ctx context.Context, c *kinesis.Client, name string) ([]types.Shard, error) {
	var list []types.Shard
	in := &kinesis.ListShardsInput{StreamName: &name}
	for {
		out, err := c.ListShards(ctx, in)
		if err != nil {
			return nil, err
		}
		list = append(list, out.Shards...)
		if out.NextToken == nil {
			return list, nil
		}
		in = &kinesis.ListShardsInput{NextToken: out.NextToken}
	}
}

// Follower reads one shard from its beginning, page by page.
type Follower struct {
	client   *kinesis.Client
	iterator *string
	// Children are set once the shard has been read to its end, which is its tip
	// for ever: what it was split or merged into.
	Children []types.ChildShard
}

// Follow starts at the oldest record of a shard.
func Follow(ctx context.Context, c *kinesis.Client, stream, shard string) (*Follower, error) {
	out, err := c.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{
		StreamName: &stream, ShardId: &shard, ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
	})
	if err != nil {
		return nil, err
	}
	return &Follower{client: c, iterator: out.ShardIterator}, nil
}

// Next returns the next page, which may be empty, and whether it ends at the
// tip. After an error the same page may be asked for again.
func (f *Follower) Next(ctx context.Context) (page []ledger.Read, atTip bool, err error) {
	if f.Children != nil {
		return nil, true, nil
	}
	out, err := f.client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: f.iterator})
	if err != nil {
		return nil, false, err
	}
	for _, r := range out.Records {
		read, err := ledger.Identify(*r.SequenceNumber, r.Data)
		if err != nil {
			return nil, false, err
		}
		if *r.PartitionKey != read.ID.Game {
			return nil, false, fmt.Errorf("record %s came with partition key %q", read.ID, *r.PartitionKey)
		}
		page = append(page, read)
	}
	if (out.NextShardIterator == nil) != (len(out.ChildShards) > 0) {
		return nil, false, fmt.Errorf("a next iterator: %v, but children: %v", out.NextShardIterator != nil, out.ChildShards)
	}
	f.iterator, f.Children = out.NextShardIterator, out.ChildShards
	return page, aws.ToInt64(out.MillisBehindLatest) == 0, nil
}

// Drain reads a shard from its oldest record to its tip.
func Drain(ctx context.Context, c *kinesis.Client, stream, shard string) ([]ledger.Read, error) {
	f, err := Follow(ctx, c, stream, shard)
	if err != nil {
		return nil, err
	}
	var all []ledger.Read
	for {
		page, atTip, err := f.Next(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if atTip && len(page) == 0 {
			return all, nil
		}
	}
}

// DrainAll reads every shard and returns what each held.
func DrainAll(ctx context.Context, c *kinesis.Client, stream string, shards []types.Shard) (map[string][]ledger.Read, error) {
	all := map[string][]ledger.Read{}
	for _, s := range shards {
		reads, err := Drain(ctx, c, stream, *s.ShardId)
		if err != nil {
			return nil, fmt.Errorf("drain %s: %w", *s.ShardId, err)
		}
		all[*s.ShardId] = reads
	}
	return all, nil
}

// ShardOf returns the shard whose hash range holds the MD5 of key, as the
// service routes; "" if the ranges leave a gap.
func ShardOf(shards []types.Shard, key string) string {
	sum := md5.Sum([]byte(key))
	hash := new(big.Int).SetBytes(sum[:])
	for _, s := range shards {
		low, ok1 := new(big.Int).SetString(*s.HashKeyRange.StartingHashKey, 10)
		high, ok2 := new(big.Int).SetString(*s.HashKeyRange.EndingHashKey, 10)
		if ok1 && ok2 && hash.Cmp(low) >= 0 && hash.Cmp(high) <= 0 {
			return *s.ShardId
		}
	}
	return ""
}
