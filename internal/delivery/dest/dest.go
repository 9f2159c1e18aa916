// Package dest is what the delivery engine and its destinations agree on: the
// batch that is delivered, what a delivery answers, and how a kind of destination
// says what configurations it takes. One package below this one for each kind; the
// engine (package delivery) knows them by their [Spec] alone.
//
// What the engine promises a destination:
//   - A batch is the same on every attempt, across restarts too: same plan, same
//     times, same records in the same order. So whatever a destination derives from
//     it, an object's name or a document's id, is the same again.
//   - Of one delivery stream no two deliveries of the same plan run at once.
//   - It decides when to try again and for how long; a destination tries once.
//
// What a destination promises: Deliver is idempotent, or what it may leave twice
// can be told apart by an id that is the same again; it holds no more memory than
// its Spec says, whatever the batch's size; it ends soon when its context does.
package dest

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/log"
)

// Stream is the delivery stream that a batch is of.
type Stream struct {
	ARN, Name, Account, Region string
	// SourceARN is the stream or cluster that it reads; "" under DirectPut.
	SourceARN string
}

// Range is a run of one partition's records: offsets from From up to, not
// including, To.
type Range struct {
	Partition log.PartitionID
	From, To  int64
}

// Record is one record of a batch. What it refers to is valid during the call that
// it is given to; to keep it, copy.
type Record struct {
	// ID is the RecordId that the put answered, the same for ever. Records made of
	// one by de-aggregation differ in Sub.
	ID        string
	Partition log.PartitionID
	Offset    int64
	// Sub counts the records made of one source record, from 0.
	Sub int
	// Sequence, ShardID and PartitionKey are those of a source that has them.
	Sequence, ShardID, PartitionKey string
	// Arrival is when the source took the record, Unix milliseconds.
	Arrival int64
	Data    []byte
	// Keys are the values that dynamic partitioning found: "query:NAME" from a
	// query over the record, "lambda:NAME" from a function's answer. Records whose
	// Keys are equal stand together in a batch.
	Keys map[string]string
}

// Batch is one plan's records on their way.
type Batch struct {
	Stream Stream
	// Plan is the batch's name for ever, a UUID: the seed of whatever must be the
	// same again.
	Plan string
	// Version is the VersionId of the configuration that the plan was made under.
	Version string
	// Pinned is what the kind's Pin said when the plan was made.
	Pinned string
	// Created is when the plan was made, Oldest when its oldest record arrived.
	Created, Oldest time.Time
	// ErrorType is set for lines of the error output: what
	// !{firehose:error-output-type} says. Only the ExtendedS3 kind is given such.
	ErrorType string
	// Ranges are where its source records stand.
	Ranges []Range
	// Bytes are about the records' bytes.
	Bytes int64
	// Records goes over the records, from the first, each time it is called, in
	// bounded memory. It stops at the first error and returns it.
	Records func(ctx context.Context, yield func(*Record) error) error
}

// Object is one object that a delivery has made.
type Object struct {
	Bucket string `json:"bucket"`
	Key    string `json:"key"`
	Size   int64  `json:"size"`
	// SHA256 is of the object's bytes, in hex.
	SHA256  string `json:"sha256"`
	Records int64  `json:"records"`
}

// Rejected is a record that the destination has refused for good, by its position
// in the batch. The engine reads it again for the error output.
type Rejected struct {
	Index int
	// Type is what !{firehose:error-output-type} says, where it is not the Spec's.
	Type          string
	Code, Message string
	Attempts      int
	// Fields are further members of the record's line in the error output.
	Fields map[string]string
}

// Result is what one delivery has done.
type Result struct {
	Objects []Object
	// Rejected are those records that are not delivered and will not be, rising by
	// Index. All others are.
	Rejected []Rejected
}

// Destination delivers batches. It is safe for concurrent use.
type Destination interface {
	// Deliver delivers the whole batch or returns an error, whose class [ClassOf]
	// tells. After an error nothing may be assumed of what has arrived.
	Deliver(ctx context.Context, b Batch) (Result, error)
}

// Env is what a destination is opened with.
type Env struct {
	Stream Stream
	Clock  clock.Clock
	// Secret opens a value of the configuration that is kept sealed; see
	// [Spec.Secrets].
	Secret func(sealed string) (string, error)
	// Scratch makes an empty file for what is too large for memory, such as an object
	// that is being compressed.
	Scratch func() (Scratch, error)
}

// Scratch is a file without a name: written once, then read from where Seek says. It is
// gone when it is closed.
type Scratch interface {
	io.Writer
	io.ReadSeeker
	io.Closer
}

// Config is a destination's configuration as it is kept: the JSON form of the
// model's own description of it (ExtendedS3DestinationDescription and so on), every
// default filled in, with the members that a description leaves out, such as
// secrets, beside them. A destination decodes what it needs into its own type.
type Config = json.RawMessage

// Spec is a kind of destination.
type Spec struct {
	// Kind is the stem of the model's names: ExtendedS3, HttpEndpoint, Redshift, ...
	Kind string
	// Retry is how long a delivery is tried again when the configuration does not
	// say (RetryOptions.DurationInSeconds); the S3 kind has 24 hours.
	Retry time.Duration
	// Host names what deliveries of a configuration depend on, such as the bucket or
	// the endpoint: one breaker for each.
	Host func(c Config) string
	// ErrorType is what !{firehose:error-output-type} says for records that could
	// not be delivered, such as http-endpoint-failed.
	ErrorType string
	// Secrets are the members of Config, by path, such as
	// EndpointConfiguration.AccessKey, that are kept sealed and never described.
	Secrets []string
	// Defaults is a document that fills what a new configuration leaves out.
	Defaults string
	// DefaultsFor, if any, is Defaults for a configuration that decides on them.
	DefaultsFor func(c Config) string
	// Check refuses a configuration that the model's own constraints let through:
	// nil, or an Invalid error with AWS's text. Defaults are filled in.
	Check func(c Config) error
	// Open makes the destination of a configuration. It makes no connection.
	Open func(c Config, e Env) (Destination, error)
	// Pin, if any, says what a delivery depends on that others can change meanwhile, such
	// as a table's version. The plan keeps it, and every repetition has it as Pinned.
	Pin func(c Config, e Env) (string, error)
	// Try, if any, makes one that does all that is done to a batch and delivers it
	// nowhere.
	Try func(c Config, e Env) (Destination, error)
}
