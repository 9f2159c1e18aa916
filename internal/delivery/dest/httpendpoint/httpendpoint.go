// Package httpendpoint delivers batches to an HTTP endpoint, by the contract that
// Firehose has with its endpoints (Developer Guide, "HTTP endpoint delivery request and
// response specifications").
//
// A request carries up to 10,000 records:
//
//	POST URL
//	Content-Type: application/json            Content-Encoding: gzip, if configured
//	X-Amz-Firehose-Protocol-Version: 1.0
//	X-Amz-Firehose-Request-Id: UUID           the same whenever the same records are sent
//	X-Amz-Firehose-Source-Arn: ARN            of the delivery stream
//	X-Amz-Firehose-Access-Key: KEY            if there is one
//	X-Amz-Firehose-Common-Attributes: {"commonAttributes":{...}}
//
//	{"requestId":UUID,"timestamp":MS,"records":[{"data":BASE64},...]}
//
// It has succeeded when the answer is 200, application/json, at most 1 MiB, not
// compressed, and says the same requestId and a numeric timestamp. Whatever else is
// answered is a failure. So delivery is at least once, and an endpoint tells a
// repetition by the request id.
//
// The body stands in a scratch file before it is sent, for its length must be told: what
// is held in memory does not depend on the size of a batch.
package httpendpoint

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/delivery/compress"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/egress"
	"thalweg/internal/errs"
)

const (
	// Timeout is how long an endpoint may take for its answer.
	Timeout = 3 * time.Minute
	// MaxRecords is how many records a request carries.
	MaxRecords = 10_000
	// MaxAnswer is how many bytes an answer may have.
	MaxAnswer = 1 << 20
)

// Spec returns the HttpEndpoint kind of destination, whose connections go where the
// policy allows.
func Spec(p *egress.Policy) dest.Spec {
	client := p.Client()
	return dest.Spec{
		Kind: "HttpEndpoint", Retry: 300 * time.Second, ErrorType: "http-endpoint-failed",
		Secrets: []string{"EndpointConfiguration.AccessKey"},
		Defaults: `{"BufferingHints":{"SizeInMBs":5,"IntervalInSeconds":300},"CloudWatchLoggingOptions":{"Enabled":false},` +
			`"RequestConfiguration":{"ContentEncoding":"NONE","CommonAttributes":[]},"RetryOptions":{"DurationInSeconds":300},` +
			`"S3BackupMode":"FailedDataOnly","ProcessingConfiguration":{"Enabled":false}}`,
		Host:  host,
		Check: check,
		Open: func(c dest.Config, e dest.Env) (dest.Destination, error) {
			return open(c, e, client)
		},
	}
}

// config is what is needed of a HttpEndpointDestinationDescription.
type config struct {
	EndpointConfiguration struct {
		Url, AccessKey string
	}
	RequestConfiguration struct {
		ContentEncoding  string
		CommonAttributes []struct{ AttributeName, AttributeValue string }
	}
}

func host(c dest.Config) string {
	var cfg config
	if json.Unmarshal(c, &cfg) != nil {
		return ""
	}
	u, err := url.Parse(cfg.EndpointConfiguration.Url)
	if err != nil {
		return ""
	}
	return u.Host
}

func check(c dest.Config) error {
	var cfg config
	if err := json.Unmarshal(c, &cfg); err != nil {
		return err
	}
	u, err := url.Parse(cfg.EndpointConfiguration.Url)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
		return errs.New(errs.Invalid, "The HTTP endpoint URL is not valid: "+strconv.Quote(cfg.EndpointConfiguration.Url))
	}
	seen := map[string]bool{}
	for _, a := range cfg.RequestConfiguration.CommonAttributes {
		if seen[a.AttributeName] {
			return errs.New(errs.Invalid, "CommonAttributes contains the attribute name "+a.AttributeName+" more than once.")
		}
		seen[a.AttributeName] = true
	}
	return nil
}

type endpoint struct {
	client  *http.Client
	clock   clock.Clock
	scratch func() (dest.Scratch, error)
	url     string
	header  http.Header
	gzip    bool
}

func open(c dest.Config, e dest.Env, client *http.Client) (dest.Destination, error) {
	var cfg config
	if err := json.Unmarshal(c, &cfg); err != nil {
		return nil, err
	}
	d := &endpoint{client: client, clock: e.Clock, scratch: e.Scratch, url: cfg.EndpointConfiguration.Url,
		gzip: cfg.RequestConfiguration.ContentEncoding == "GZIP"}
	d.header = http.Header{
		"Content-Type":                    {"application/json"},
		"User-Agent":                      {"Amazon Kinesis Data Firehose Agent/1.0"},
		"X-Amz-Firehose-Protocol-Version": {"1.0"},
		"X-Amz-Firehose-Source-Arn":       {e.Stream.ARN},
	}
	if d.gzip {
		d.header.Set("Content-Encoding", "gzip")
	}
	if sealed := cfg.EndpointConfiguration.AccessKey; sealed != "" {
		key, err := e.Secret(sealed)
		if err != nil {
			return nil, err
		}
		if key != "" {
			d.header.Set("X-Amz-Firehose-Access-Key", key)
		}
	}
	if list := cfg.RequestConfiguration.CommonAttributes; len(list) > 0 {
		attributes := map[string]string{}
		for _, a := range list {
			attributes[a.AttributeName] = a.AttributeValue
		}
		text, err := json.Marshal(map[string]any{"commonAttributes": attributes})
		if err != nil {
			return nil, err
		}
		d.header.Set("X-Amz-Firehose-Common-Attributes", string(text))
	}
	return d, nil
}

// Deliver sends the batch, in as many requests as it takes, one after the other.
func (d *endpoint) Deliver(ctx context.Context, b dest.Batch) (dest.Result, error) {
	var r *request
	part := 0
	send := func() error {
		if r == nil {
			return nil
		}
		defer func() { r.file.Close(); r = nil }()
		part++
		return d.send(ctx, r)
	}
	err := b.Records(ctx, func(rec *dest.Record) (err error) {
		if r == nil {
			if r, err = d.begin(requestID(b.Plan, part)); err != nil {
				return err
			}
		}
		r.add(rec.Data)
		if r.records == MaxRecords {
			return send()
		}
		return nil
	})
	if err == nil {
		err = send()
	}
	if r != nil {
		r.file.Close()
	}
	return dest.Result{}, err
}

// requestID returns the id of a plan's n-th request: the plan's own for the first, then a
// UUID of version 5 in its name space.
func requestID(plan string, n int) string {
	if n == 0 {
		return plan
	}
	h := sha1.Sum([]byte(plan + "/" + strconv.Itoa(n)))
	h[6] = h[6]&0x0f | 0x50
	h[8] = h[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

// request is one that is being written.
type request struct {
	id      string
	file    dest.Scratch
	size    counter
	packed  io.WriteCloser
	body    *bufio.Writer
	base64  []byte
	records int
}

// counter counts what passes.
type counter struct {
	to io.Writer
	n  int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.n += int64(n)
	return n, err
}

func (d *endpoint) begin(id string) (*request, error) {
	file, err := d.scratch()
	if err != nil {
		return nil, err
	}
	r := &request{id: id, file: file, size: counter{to: file}}
	format := compress.None
	if d.gzip {
		format = compress.GZIP
	}
	r.packed = format.NewWriter(&r.size, "")
	r.body = bufio.NewWriterSize(r.packed, 64<<10)
	fmt.Fprintf(r.body, `{"requestId":"%s","timestamp":%d,"records":[`, id, clock.Millis(d.clock))
	return r, nil
}

// add appends a record; errors of the writers are found in the end.
func (r *request) add(data []byte) {
	if r.records > 0 {
		r.body.WriteByte(',')
	}
	r.records++
	r.base64 = base64.StdEncoding.AppendEncode(r.base64[:0], data)
	r.body.WriteString(`{"data":"`)
	r.body.Write(r.base64)
	r.body.WriteString(`"}`)
}

// end makes the body whole and stands at its beginning.
func (r *request) end() error {
	r.body.WriteString("]}")
	if err := r.body.Flush(); err != nil {
		return err
	}
	if err := r.packed.Close(); err != nil {
		return err
	}
	_, err := r.file.Seek(0, io.SeekStart)
	return err
}

// reader keeps the transport from closing the file, which the request still needs.
type reader struct{ io.Reader }

func (d *endpoint) send(ctx context.Context, r *request) error {
	if err := r.end(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url, reader{r.file})
	if err != nil {
		return &dest.Error{Class: dest.Permanent, Code: "HttpEndpoint.InvalidUrl", Message: "The URL of the endpoint is not valid.", Err: err}
	}
	req.ContentLength = r.size.n
	req.Header = d.header.Clone()
	req.Header.Set("X-Amz-Firehose-Request-Id", r.id)
	resp, err := d.client.Do(req)
	if err != nil {
		return failed(err)
	}
	defer resp.Body.Close()
	return judge(resp, r.id)
}
