// Package client is what the command line and the demo share to use a server
// over HTTP, like anybody's application would: a Kinesis client without hidden
// retries, a producer that keeps order, and a reader that resumes.
//
// It knows nothing of the server's inside and works against any endpoint that
// speaks the Kinesis API.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Options say which server, and as whom.
type Options struct {
	Endpoint        string // http://HOST:PORT or https://HOST:PORT
	Region          string
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string
	// CA is a PEM bundle to trust beside the system's; empty is none.
	CA []byte
	// Conns is how many idle connections are kept; 0 is 16.
	Conns int
}

// Client is a Kinesis client and the connections it owns.
type Client struct {
	*kinesis.Client
	// HTTP reaches the same server without signatures.
	HTTP *http.Client

	options kinesis.Options
}

// New returns a client. Close it to free its connections. It fails on a CA
// without a certificate.
func New(o Options) (*Client, error) {
	conns := o.Conns
	if conns == 0 {
		conns = 16
	}
	tr := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		MaxIdleConnsPerHost: conns,
		IdleConnTimeout:     90 * time.Second,
		TLSHandshakeTimeout: 5 * time.Second,
		Proxy:               http.ProxyFromEnvironment,
	}
	if len(o.CA) > 0 {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(o.CA) {
			return nil, errors.New("the CA file holds no certificate")
		}
		tr.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	h := &http.Client{Transport: tr}
	options := kinesis.Options{
		BaseEndpoint: aws.String(o.Endpoint),
		Region:       o.Region,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: o.AccessKeyID, SecretAccessKey: o.SecretAccessKey, SessionToken: o.SessionToken}, nil
		}),
		HTTPClient: ownBody{h},
		Retryer:    aws.NopRetryer{},
	}
	return &Client{Client: kinesis.New(options), HTTP: h, options: options}, nil
}

// Firehose returns a client of Data Firehose at the same server, which repeats calls
// as the SDK does: it is how a put is sent again that saw no answer.
func (c *Client) Firehose() *firehose.Client {
	return firehose.New(firehose.Options{
		BaseEndpoint: c.options.BaseEndpoint, Region: c.options.Region, Credentials: c.options.Credentials, HTTPClient: c.options.HTTPClient,
	})
}

// ownBody sends each request with a body that the SDK does not hold. The SDK
// closes the one it gave as soon as the answer's header is there; when net/http
// has not yet seen that body's end, it takes that for a failure and drops the
// connection under the rest of the answer (aws-sdk-go-v2 issue 2737).
type ownBody struct{ client *http.Client }

// Do implements the SDK's HTTPClient.
func (o ownBody) Do(r *http.Request) (*http.Response, error) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	own := r.Clone(r.Context())
	own.Body = io.NopCloser(bytes.NewReader(data))
	return o.client.Do(own)
}

// Close drops idle connections.
func (c *Client) Close() { c.HTTP.CloseIdleConnections() }

// ListAllShards returns every shard of a stream, in the order of their ids.
func (c *Client) ListAllShards(ctx context.Context, stream string) ([]types.Shard, error) {
	var shards []types.Shard
	in := &kinesis.ListShardsInput{StreamName: aws.String(stream)}
	for {
		out, err := c.ListShards(ctx, in)
		if err != nil {
			return nil, err
		}
		shards = append(shards, out.Shards...)
		if out.NextToken == nil {
			return shards, nil
		}
		in = &kinesis.ListShardsInput{NextToken: out.NextToken}
	}
}

// WaitActive polls until the stream takes records. It fails when the stream is
// being deleted or ctx ends.
func (c *Client) WaitActive(ctx context.Context, stream string) error {
	for delay := 5 * time.Millisecond; ; delay = min(2*delay, time.Second) {
		out, err := c.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: aws.String(stream)})
		if err != nil {
			return err
		}
		switch out.StreamDescriptionSummary.StreamStatus {
		case types.StreamStatusActive, types.StreamStatusUpdating:
			return nil
		case types.StreamStatusDeleting:
			return errors.New("stream " + stream + " is being deleted")
		}
		if err := sleep(ctx, delay); err != nil {
			return err
		}
	}
}

// Code returns the error code a server gave, and "" for an error that is not a
// server's answer.
func Code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// Unanswered tells whether err leaves it open that the server did what was
// asked: no whole answer was seen.
func Unanswered(err error) bool { return err != nil && Code(err) == "" }

// Retryable tells whether the same call may succeed later.
func Retryable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	switch Code(err) {
	case "ProvisionedThroughputExceededException", "LimitExceededException", "ThrottlingException", "Throttling",
		"RequestLimitExceeded", "ServiceUnavailable", "ServiceUnavailableException", "KMSThrottlingException":
		return true
	}
	var resp *smithyhttp.ResponseError
	if errors.As(err, &resp) && resp.HTTPStatusCode() >= 500 {
		return true
	}
	return Code(err) == "" && brokenOff(err)
}

// brokenOff tells whether the connection failed before the answer's end.
func brokenOff(err error) bool {
	var send *smithyhttp.RequestSendError
	var half *smithy.DeserializationError
	return errors.As(err, &send) || errors.As(err, &half)
}

// Unreachable tells whether no connection to the server could be made.
func Unreachable(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}
