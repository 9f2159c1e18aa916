package dest

import "context"

// Failure is a record that a processing stage could not make sense of. It goes to
// the error output.
type Failure struct {
	// Record is as the stage was given it; but Data, when a stage before it has
	// changed the record, is what the source had where the stage knows it.
	Record Record
	// Type is what !{firehose:error-output-type} says: processing-failed,
	// decompression-failed, dynamic-partitioning-failed, format-conversion-failed.
	Type          string
	Code, Message string
	Attempts      int
	// Fields are further members of the record's line, such as lambdaArn.
	Fields map[string]string
}

// Processor is one stage between source and destination: it takes records apart,
// changes, drops or refuses them. It is safe for concurrent use.
type Processor interface {
	// Process handles some consecutive records of a batch, about ChunkBytes of them
	// or one. What it returns may refer to what it was given. An error, which is not
	// about one record, fails the batch for now, by its class as a delivery's.
	//
	// What it returns for the same records should be the same; where it is not, as
	// with a function elsewhere, the engine keeps what was returned first.
	Process(ctx context.Context, in []Record) (out []Record, failed []Failure, err error)
}

// ChunkBytes is about how many bytes of records a stage is given at once.
const ChunkBytes = 1 << 20
