// Package firehose drives delivery streams of the real binary with the Go SDK: what is
// acknowledged arrives in the bucket once, whatever is killed and repeated.
package firehose

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"thalweg/tests/harness"
	"thalweg/tests/sdk"
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(harness.Main(m))
}

const bucket = "bucket"

// suite is a server with a bucket, and a client.
type suite struct {
	t      *testing.T
	server *harness.Server
	client *firehose.Client
	s3     *s3.Client
}

func newSuite(t *testing.T, args ...string) *suite {
	t.Helper()
	return suiteAs(t, func(*harness.Server) harness.Key { return anybody }, args...)
}

// anybody is whom a server believes that is not strict.
var anybody = harness.Key{AccessKey: sdk.AccessKey, SecretKey: sdk.SecretKey}

// suiteAs is a server whose clients have a key that is made there.
func suiteAs(t *testing.T, key func(*harness.Server) harness.Key, args ...string) *suite {
	t.Helper()
	s := &suite{t: t, server: harness.ForTest(t, harness.Options{Args: append([]string{"--test-aids"}, args...)})}
	as := key(s.server)
	s.client = clientAs(as, s.server.URL(), http.DefaultTransport)
	s.s3 = bucketsAs(as, s.server.URL())
	if _, err := s.s3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(bucket)}); err != nil {
		t.Fatal(err)
	}
	return s
}

// of is the suite in another test of the same server.
func (s *suite) of(t *testing.T) *suite {
	o := *s
	o.t = t
	return &o
}

func newClient(url string, via http.RoundTripper) *firehose.Client {
	return clientAs(anybody, url, via)
}

func clientAs(as harness.Key, url string, via http.RoundTripper) *firehose.Client {
	return firehose.New(firehose.Options{
		BaseEndpoint: aws.String(url), Region: sdk.Region, HTTPClient: sdk.WholeBody(&http.Client{Transport: via}),
		Credentials: credentials.NewStaticCredentialsProvider(as.AccessKey, as.SecretKey, ""),
	})
}

func bucketsAs(as harness.Key, url string) *s3.Client {
	return s3.New(s3.Options{BaseEndpoint: &url, Region: sdk.Region, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(as.AccessKey, as.SecretKey, "")})
}

// objects are all of the bucket, below a prefix.
func (s *suite) objects(prefix string) map[string][]byte {
	s.t.Helper()
	out := map[string][]byte{}
	s.each(prefix, func(key string, body []byte) error {
		out[key] = body
		return nil
	})
	return out
}

func (s *suite) flush(name string) {
	s.t.Helper()
	s.flushOf("", name)
}

// flushOf delivers what a stream of an account has.
func (s *suite) flushOf(account, name string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), "POST", s.server.URL()+"/_thalweg/firehose/"+name+"/flush?account="+account, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		s.t.Fatalf("flush: %d %s", resp.StatusCode, body)
	}
}

func (s *suite) create(name, prefix string, alter func(*firehose.CreateDeliveryStreamInput)) {
	s.t.Helper()
	in := &firehose.CreateDeliveryStreamInput{
		DeliveryStreamName: &name,
		ExtendedS3DestinationConfiguration: &types.ExtendedS3DestinationConfiguration{
			BucketARN: aws.String("arn:aws:s3:::" + bucket), RoleARN: aws.String("arn:aws:iam::000000000000:role/firehose"),
			Prefix: &prefix, BufferingHints: &types.BufferingHints{SizeInMBs: aws.Int32(1), IntervalInSeconds: aws.Int32(0)},
		},
	}
	if alter != nil {
		alter(in)
	}
	if _, err := s.client.CreateDeliveryStream(s.t.Context(), in); err != nil {
		s.t.Fatal(err)
	}
}

// The SDK's own retry of a call whose answer was lost puts nothing twice, across a
// restart of the server too.
func TestRetriesPutOnce(t *testing.T) {
	s := newSuite(t)
	s.create("events", "own/", nil)
	for _, killed := range []bool{false, true} {
		lossy := &loseFirst{then: func() {
			if killed {
				if err := errors.Join(s.server.Kill(), s.server.Restart(context.Background())); err != nil {
					t.Error(err)
				}
			}
		}}
		client := newClient(s.server.URL(), lossy)
		out, err := client.PutRecordBatch(t.Context(), &firehose.PutRecordBatchInput{DeliveryStreamName: aws.String("events"),
			Records: []types.Record{{Data: fmt.Appendf(nil, "killed %v a\n", killed)}, {Data: fmt.Appendf(nil, "killed %v b\n", killed)}}})
		if err != nil || *out.FailedPutCount != 0 || len(out.RequestResponses) != 2 {
			t.Fatalf("put: %+v, %v", out, err)
		}
		if n := lossy.calls.Load(); n != 2 {
			t.Fatalf("%d attempts, want 2", n)
		}
	}
	s.flush("events")
	var all strings.Builder
	for _, body := range s.objects("own/") {
		all.Write(body)
	}
	for _, want := range []string{"killed false a\nkilled false b\n", "killed true a\nkilled true b\n"} {
		if strings.Count(all.String(), want) != 1 {
			t.Errorf("%q is there %d times in %q", want, strings.Count(all.String(), want), all.String())
		}
	}
}

// loseFirst loses the answer of the first call.
type loseFirst struct {
	calls atomic.Int32
	then  func()
}

func (l *loseFirst) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	if l.calls.Add(1) > 1 || err != nil {
		return resp, err
	}
	resp.Body.Close()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	l.then()
	return nil, errors.New("connection reset by peer")
}
