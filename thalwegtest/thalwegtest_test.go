package thalwegtest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"go.uber.org/goleak"

	"thalweg/thalwegtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// run runs a test function inside an example.
func run(test func(testing.TB)) {
	testing.Init()
	// Under -v the inner test would write its name into the example's output.
	was := flag.Lookup("test.v").Value.String()
	_ = flag.Set("test.v", "false")                // both are values that
	defer func() { _ = flag.Set("test.v", was) }() // the flag has had
	ok := testing.RunTests(func(string, string) (bool, error) { return true, nil },
		[]testing.InternalTest{{Name: "example", F: func(t *testing.T) { test(t) }}})
	if !ok {
		panic("the example failed")
	}
}

func makeStream(t *testing.T, c *kinesis.Client, name string) {
	t.Helper()
	if _, err := c.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String(name), ShardCount: aws.Int32(1)}); err != nil {
		t.Fatal(err)
	}
}

func TestServersAreApart(t *testing.T) {
	a, b := newClient(thalwegtest.New(t)), newClient(thalwegtest.New(t))
	makeStream(t, a, "s")
	out, err := b.ListStreams(t.Context(), &kinesis.ListStreamsInput{})
	if err != nil || len(out.StreamNames) != 0 {
		t.Errorf("streams %v, %v", out, err)
	}
}

func TestStrictAuthRefusesOthers(t *testing.T) {
	srv := thalwegtest.New(t, thalwegtest.WithStrictAuth(), thalwegtest.WithRegion("eu-west-1"))
	makeStream(t, newClient(srv), "s")
	other := *srv
	other.SecretAccessKey = "wrong"
	_, err := newClient(&other).ListStreams(context.Background(), &kinesis.ListStreamsInput{})
	if err == nil {
		t.Error("a wrong secret was accepted")
	}
}

func TestTLS(t *testing.T) {
	srv := thalwegtest.New(t, thalwegtest.WithTLS())
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(srv.CAPEM) {
		t.Fatal("no CA")
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	defer tr.CloseIdleConnections()
	c := kinesis.New(kinesis.Options{BaseEndpoint: aws.String(srv.TLSEndpoint), Region: srv.Region, HTTPClient: &http.Client{Transport: tr},
		Credentials: credentials.NewStaticCredentialsProvider(srv.AccessKeyID, srv.SecretAccessKey, "")})
	makeStream(t, c, "s")
}

func TestDataDirSurvives(t *testing.T) {
	dir := t.TempDir()
	t.Run("first", func(t *testing.T) { makeStream(t, newClient(thalwegtest.New(t, thalwegtest.WithDataDir(dir))), "s") })
	t.Run("second", func(t *testing.T) {
		c := newClient(thalwegtest.New(t, thalwegtest.WithDataDir(dir)))
		out, err := c.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: aws.String("s")})
		if err != nil || out.StreamDescriptionSummary.StreamStatus != types.StreamStatusActive {
			t.Errorf("%v, %v", out, err)
		}
	})
}
