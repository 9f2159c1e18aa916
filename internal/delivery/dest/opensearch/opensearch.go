// Package opensearch delivers batches to OpenSearch, Elasticsearch and collections of
// OpenSearch Serverless, by their _bulk API. Each record is one document.
//
// A document's id is a function of where its record stands in the log, so that a delivery
// that is tried again writes the same documents over: effectively once. With
// NO_DOCUMENT_ID the index makes the ids, and a repetition is another document.
//
// The name of the index has the record's arrival in it where the configuration rotates
// (UTC): NAME-yyyy-MM-dd-HH, NAME-yyyy-MM-dd, NAME-yyyy-wWW, NAME-yyyy-MM. Weeks are
// those of the US: from Sunday, the first of a year being the one with its first Saturday
// (Developer Guide, "Configure destination settings").
//
// Documents go in requests of about 4 MiB, which are held in memory. A document that the
// index refuses for good is rejected, with the answer's status as its code; where the
// index could not take one for now, the batch is tried again.
package opensearch

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"thalweg/internal/delivery/dest"
	"thalweg/internal/egress"
	"thalweg/internal/errs"
)

const (
	// Timeout is how long one request may take.
	Timeout = 3 * time.Minute
	// chunkBytes and chunkDocuments bound one request; a larger document goes alone.
	chunkBytes     = 4 << 20
	chunkDocuments = 5000
	// answerBytes bounds the answer to one request.
	answerBytes = 16 << 20
)

// Specs returns the kinds of destination that speak this API: Elasticsearch,
// Amazonopensearchservice and AmazonOpenSearchServerless. Their connections go where the
// policy allows.
func Specs(p *egress.Policy) []dest.Spec {
	client := p.Client()
	var all []dest.Spec
	for _, k := range []kind{
		{name: "Elasticsearch", prefix: "es", code: "ES", errorType: "elasticsearch-failed", domains: true},
		{name: "Amazonopensearchservice", prefix: "es", code: "ES", errorType: "AmazonOpenSearchService-failed", domains: true},
		{name: "AmazonOpenSearchServerless", prefix: "os", code: "OS", errorType: "AmazonOpenSearchServerless-failed"},
	} {
		defaults := `{"BufferingHints":{"SizeInMBs":5,"IntervalInSeconds":300},"CloudWatchLoggingOptions":{"Enabled":false},` +
			`"RetryOptions":{"DurationInSeconds":300},"S3BackupMode":"FailedDocumentsOnly","ProcessingConfiguration":{"Enabled":false}`
		if k.domains {
			defaults += `,"IndexRotationPeriod":"OneDay","DocumentIdOptions":{"DefaultDocumentIdFormat":"FIREHOSE_DEFAULT"}`
		}
		all = append(all, dest.Spec{
			Kind: k.name, Retry: 300 * time.Second, ErrorType: k.errorType, Defaults: defaults + "}",
			Host:  host,
			Check: check,
			Open: func(c dest.Config, e dest.Env) (dest.Destination, error) {
				cfg, err := parse(c)
				if err != nil {
					return nil, err
				}
				u, err := cfg.url()
				if err != nil {
					return nil, err
				}
				return &index{kind: k, client: client, url: u.JoinPath("_bulk").String(), config: cfg, stream: e.Stream}, nil
			},
		})
	}
	return all
}

// kind is what the three differ in.
type kind struct {
	name, prefix, code, errorType string
	domains                       bool
}

// config is what is needed of the model's descriptions.
type config struct {
	ClusterEndpoint, CollectionEndpoint, DomainARN string
	IndexName, IndexRotationPeriod, TypeName       string
	DocumentIdOptions                              struct{ DefaultDocumentIdFormat string }
	VpcConfigurationDescription                    *struct{}
}

func parse(c dest.Config) (cfg config, err error) {
	err = json.Unmarshal(c, &cfg)
	return cfg, err
}

func (c *config) url() (*url.URL, error) {
	text := c.ClusterEndpoint + c.CollectionEndpoint
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" {
		return nil, errs.New(errs.Invalid, fmt.Sprintf("The endpoint is not valid: %q", text))
	}
	return u, nil
}

func host(c dest.Config) string {
	cfg, err := parse(c)
	if err != nil {
		return ""
	}
	u, err := cfg.url()
	if err != nil {
		return ""
	}
	return u.Host
}

func check(c dest.Config) error {
	cfg, err := parse(c)
	switch {
	case err != nil:
		return err
	case cfg.DomainARN != "" && cfg.ClusterEndpoint != "":
		return errs.New(errs.Invalid, "Only one of DomainARN or ClusterEndpoint can be specified.")
	case cfg.DomainARN != "":
		return errs.New(errs.Invalid, "DomainARN is not supported, for there is no domain to ask for its endpoint. Please specify ClusterEndpoint.")
	case cfg.VpcConfigurationDescription != nil:
		return errs.New(errs.Invalid, "VpcConfiguration is not supported.")
	case cfg.IndexName != strings.ToLower(cfg.IndexName), strings.ContainsAny(cfg.IndexName, `\/*?"<>| ,#:`),
		strings.HasPrefix(cfg.IndexName, "-"), strings.HasPrefix(cfg.IndexName, "_"), strings.HasPrefix(cfg.IndexName, "+"),
		cfg.IndexName == ".", cfg.IndexName == "..":
		return errs.New(errs.Invalid, fmt.Sprintf("The index name is not valid: %q", cfg.IndexName))
	}
	_, err = cfg.url()
	return err
}

type index struct {
	kind
	client *http.Client
	url    string
	config config
	stream dest.Stream
}

// document is one of a request.
type document struct {
	at          int // of the batch's records
	index, id   string
	begin, size int // of the request's bytes
}

// chunk is a request that is being made.
type chunk struct {
	body bytes.Buffer
	docs []document
}

// Deliver writes the batch's documents.
func (d *index) Deliver(ctx context.Context, b dest.Batch) (dest.Result, error) {
	var (
		res dest.Result
		c   chunk
		n   int
	)
	flush := func() error {
		defer func() { c.body.Reset(); c.docs = c.docs[:0] }()
		return d.send(ctx, c.body.Bytes(), c.docs, &res)
	}
	err := b.Records(ctx, func(r *dest.Record) error {
		at := n
		n++
		doc := document{at: at, index: d.indexOf(r.Arrival), begin: c.body.Len()}
		if d.config.DocumentIdOptions.DefaultDocumentIdFormat != "NO_DOCUMENT_ID" {
			doc.id = d.idOf(r)
		}
		if err := d.add(&c.body, doc, r.Data); err != nil {
			c.body.Truncate(doc.begin)
			if len(c.docs) > 0 { // rejected ones rise by their place
				if err := flush(); err != nil {
					return err
				}
			}
			res.Rejected = append(res.Rejected, d.reject(doc, "400", "The record is not a JSON object: "+err.Error()))
			return nil
		}
		doc.size = c.body.Len() - doc.begin
		c.docs = append(c.docs, doc)
		if c.body.Len() >= chunkBytes || len(c.docs) >= chunkDocuments {
			return flush()
		}
		return nil
	})
	if err == nil && len(c.docs) > 0 {
		err = flush()
	}
	return res, err
}

// add appends a document's two lines.
func (d *index) add(body *bytes.Buffer, doc document, data []byte) error {
	data = bytes.TrimSpace(data)
	if len(data) == 0 || data[0] != '{' {
		return fmt.Errorf("it does not begin with a brace")
	}
	type meta struct {
		Index string `json:"_index"`
		Type  string `json:"_type,omitempty"`
		ID    string `json:"_id,omitempty"`
	}
	line, err := json.Marshal(map[string]meta{"index": {doc.index, d.config.TypeName, doc.id}})
	if err != nil {
		return err
	}
	body.Write(line)
	body.WriteByte('\n')
	if err := json.Compact(body, data); err != nil { // a line break would end it
		return err
	}
	body.WriteByte('\n')
	return nil
}

// indexOf is the index of what arrived at a time, Unix milliseconds.
func (d *index) indexOf(arrival int64) string {
	t := time.UnixMilli(arrival).UTC()
	switch d.config.IndexRotationPeriod {
	case "OneHour":
		return d.config.IndexName + t.Format("-2006-01-02-15")
	case "OneDay":
		return d.config.IndexName + t.Format("-2006-01-02")
	case "OneWeek":
		saturday := t.AddDate(0, 0, int(time.Saturday-t.Weekday()))
		return fmt.Sprintf("%s-%d-w%02d", d.config.IndexName, saturday.Year(), (saturday.YearDay()-1)/7+1)
	case "OneMonth":
		return d.config.IndexName + t.Format("-2006-01")
	}
	return d.config.IndexName
}

// idOf is the id of a record's document: 32 characters that follow from the delivery
// stream and the record's place.
func (d *index) idOf(r *dest.Record) string {
	in := append([]byte(d.stream.ARN), 0)
	in = fmt.Append(in, r.Partition)
	in = binary.BigEndian.AppendUint64(append(in, 0), uint64(r.Offset))
	in = binary.BigEndian.AppendUint32(in, uint32(r.Sub))
	sum := sha1.Sum(in)
	return base32.HexEncoding.EncodeToString(sum[:])
}

// reject says that a document was refused.
func (d *index) reject(doc document, code, message string) dest.Rejected {
	f := map[string]string{d.prefix + "DocumentId": doc.id, d.prefix + "IndexName": doc.index}
	if d.domains {
		f["esTypeName"] = d.config.TypeName
	}
	return dest.Rejected{Index: doc.at, Code: code, Message: message, Attempts: 1, Fields: f}
}
