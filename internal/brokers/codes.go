package brokers

import (
	"fmt"

	"thalweg/internal/errs"
)

// Code is an error code of Kafka's protocol (kafka.apache.org/protocol, "Error
// Codes").
type Code int16

// The codes that this server answers with.
const (
	Unknown                  Code = -1
	OK                       Code = 0
	OffsetOutOfRange         Code = 1
	CorruptMessage           Code = 2
	UnknownTopic             Code = 3
	LeaderNotAvailable       Code = 5
	MessageTooLarge          Code = 10
	OffsetMetadataTooLarge   Code = 12
	CoordinatorNotAvailable  Code = 15
	InvalidTopic             Code = 17
	NotEnoughReplicas        Code = 19
	InvalidRequiredAcks      Code = 21
	IllegalGeneration        Code = 22
	InconsistentProtocol     Code = 23
	InvalidGroupID           Code = 24
	UnknownMemberID          Code = 25
	InvalidSessionTimeout    Code = 26
	RebalanceInProgress      Code = 27
	TopicDenied              Code = 29
	GroupDenied              Code = 30
	ClusterDenied            Code = 31
	InvalidTimestamp         Code = 32
	UnsupportedSASLMechanism Code = 33
	IllegalSASLState         Code = 34
	UnsupportedVersion       Code = 35
	TopicAlreadyExists       Code = 36
	InvalidPartitions        Code = 37
	InvalidReplication       Code = 38
	InvalidAssignment        Code = 39
	InvalidConfig            Code = 40
	InvalidRequest           Code = 42
	UnsupportedMessage       Code = 43
	PolicyViolation          Code = 44
	OutOfOrderSequence       Code = 45
	InvalidProducerEpoch     Code = 47
	InvalidTxnState          Code = 48
	InvalidProducerIDMapping Code = 49
	InvalidTxnTimeout        Code = 50
	ConcurrentTransactions   Code = 51
	OperationNotAttempted    Code = 55
	LogDirNotFound           Code = 57
	ElectionNotNeeded        Code = 84
	NoReassignment           Code = 85
	InvalidUpdateVersion     Code = 95
	TxnDenied                Code = 53
	SecurityDisabled         Code = 54
	SASLAuthenticationFailed Code = 58
	StorageError             Code = 56
	NonEmptyGroup            Code = 68
	GroupIDNotFound          Code = 69
	FetchSessionNotFound     Code = 70
	TopicDeletionDisabled    Code = 73
	InvalidFetchSessionEpoch Code = 71
	FencedLeaderEpoch        Code = 74
	UnknownLeaderEpoch       Code = 75
	UnsupportedCompression   Code = 76
	MemberIDRequired         Code = 79
	GroupMaxSizeReached      Code = 81
	FencedInstanceID         Code = 82
	GroupSubscribed          Code = 86
	InvalidRecord            Code = 87
	UnstableOffsetCommit     Code = 88
	QuotaExceeded            Code = 89
	ProducerFenced           Code = 90
	ResourceNotFound         Code = 91
	DuplicateResource        Code = 92
	UnacceptableCredential   Code = 93
	UnknownTopicID           Code = 100
	TransactionalIDNotFound  Code = 105
	FencedMemberEpoch        Code = 110
	UnreleasedInstanceID     Code = 111
	UnsupportedAssignor      Code = 112
	StaleMemberEpoch         Code = 113
	FetchSessionTopicID      Code = 106
	MismatchedEndpointType   Code = 114
	UnsupportedEndpointType  Code = 115
	TransactionAbortable     Code = 120
	InvalidRecordState       Code = 121
	ShareSessionNotFound     Code = 122
	InvalidShareSessionEpoch Code = 123
	InvalidRegularExpression Code = 128
	RebootstrapRequired      Code = 129
	ShareSessionLimitReached Code = 133
)

// Error is a refusal in Kafka's terms.
type Error struct {
	Code Code
	Msg  string
	Err  error
	// Records are what is wrong with single records of a batch, the first of them.
	Records []RecordError
}

// RecordError is what is wrong with the record at an index of its batch.
type RecordError struct {
	Index int32
	Msg   string
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Msg + ": " + e.Err.Error()
	}
	return e.Msg
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func refuse(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Msg: fmt.Sprintf(format, args...)}
}

// logError is what a failure of the log is to a client. What may pass is an error
// that clients try again after.
func logError(err error) *Error {
	e := &Error{Code: StorageError, Msg: "The log cannot serve this.", Err: err}
	switch errs.KindOf(err) {
	case errs.NotFound:
		e.Code, e.Msg = UnknownTopic, "This server does not host this topic-partition."
	case errs.OutOfRange:
		e.Code, e.Msg = OffsetOutOfRange, "The requested offset is not within the range of offsets maintained by the server."
	case errs.Sealed:
		e.Code, e.Msg = PolicyViolation, "The partition is a closed shard of a Kinesis stream and takes no more records. "+
			"Kinesis producers follow a reshard; Kafka producers choose partitions of their own (SplitShard, MergeShards, UpdateShardCount)."
	case errs.Throttled:
		e.Code, e.Msg = NotEnoughReplicas, "The server is over its memory budget; nothing was written."
	case errs.NoSpace:
		e.Code, e.Msg = NotEnoughReplicas, "The server has no space left; nothing was written."
	case errs.Corrupt:
		e.Code, e.Msg = CorruptMessage, "The stored records fail their checksum."
	case errs.LimitExceeded, errs.InUse:
		e.Code, e.Msg = PolicyViolation, err.Error()
	}
	return e
}
