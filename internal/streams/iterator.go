package streams

import (
	"cmp"
	"encoding/binary"
	"slices"
	"time"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/ids"
)

// Position is a place in a shard: what an iterator means.
type Position struct {
	Stream     *catalog.Resource
	Shard      ids.Shard
	Generation uint32
	// Offset is that of the next record, or of one no longer there.
	Offset int64
}

// Start is where reading is to begin, as GetShardIterator and SubscribeToShard
// name it.
type Start string

const (
	AtSequenceNumber    Start = "AT_SEQUENCE_NUMBER"
	AfterSequenceNumber Start = "AFTER_SEQUENCE_NUMBER"
	TrimHorizon         Start = "TRIM_HORIZON"
	Latest              Start = "LATEST"
	AtTimestamp         Start = "AT_TIMESTAMP"
)

// StartingAt is a Start with what belongs to it.
type StartingAt struct {
	Type Start
	// Sequence is "" when none was given.
	Sequence string
	// Time, in Unix milliseconds, is meant when HasTime.
	Time    int64
	HasTime bool
	// Call is the operation that asks, for messages; "" is GetShardIterator.
	Call string
}

// Shard returns the stream of that name and its shard that a client names by id,
// leniently: shardId-000000000000, shardId-0 and 0 are the same. Errors:
// NotFound, each with its own text: no id, no stream, no such shard.
func (s *Service) Shard(scope catalog.Scope, stream, id string) (*catalog.Resource, *catalog.Shard, error) {
	if err := CheckShardID(scope.Account, stream, id); err != nil {
		return nil, nil, err
	}
	number, _ := ids.ParseShard(id)
	if r := s.catalog.Get(streamKey(scope, stream)); s.visible(r) {
		if sh := shardOf(r, number); sh != nil && !expired(sh, s.Horizon(r)) {
			return r, sh, nil
		}
	}
	return nil, nil, shardNotFound(scope.Account, stream, number.String())
}

// CheckShardID returns the error for an id that can name no shard of any stream.
func CheckShardID(account, stream, id string) error {
	if _, ok := ids.ParseShard(id); ok {
		return nil
	}
	return noSuchShard(account, stream, id)
}

func shardOf(r *catalog.Resource, number ids.Shard) *catalog.Shard {
	if i := indexOf(r, number); i >= 0 {
		return &r.Stream.Shards[i]
	}
	return nil
}

// indexOf is where in r a shard is, -1 if it is not there.
func indexOf(r *catalog.Resource, number ids.Shard) int {
	i, found := slices.BinarySearchFunc(r.Stream.Shards, number, func(sh catalog.Shard, n ids.Shard) int {
		return cmp.Compare(sh.Number, n)
	})
	if !found {
		return -1
	}
	return i
}

// Locate turns a start into a position. LATEST is pinned to the end as it is
// now; numbers and times before the oldest record mean the oldest.
func (s *Service) Locate(r *catalog.Resource, sh *catalog.Shard, at StartingAt) (Position, error) {
	pos := Position{Stream: r, Shard: sh.Number, Generation: r.Stream.Generation}
	partition := r.Stream.PartitionOf(sh.Number)
	const rule = "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or " +
		"(2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified "
	switch bySequence := at.Type == AtSequenceNumber || at.Type == AfterSequenceNumber; {
	case bySequence && at.Sequence == "":
		return pos, invalid(rule+"%s and no StartingSequenceNumber.", at.Type)
	case !bySequence && at.Sequence != "":
		return pos, invalid(rule+"%s and also a StartingSequenceNumber.", at.Type)
	case bySequence:
		seq, err := checkSequence(r, sh, at)
		if err != nil {
			return pos, err
		}
		pos.Offset = seq.Offset()
		if at.Type == AfterSequenceNumber {
			pos.Offset = seq.OffsetAfter()
		}
		return pos, nil
	case at.Type == AtTimestamp:
		now := s.now(r)
		if !at.HasTime {
			return pos, invalid("Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. " +
				"Current request has no timestamp parameter.")
		}
		if at.Time > now {
			return pos, invalid("The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. "+
				"timestampInMillis: %d, currentTimestampInMillis: %d", at.Time, now)
		}
		from := at.Time
		if from <= sh.Created {
			from = 0 // every record: the creation may be ahead of the clock
		}
		offset, _, err := s.log.OffsetForTime(partition, from)
		if err != nil {
			return pos, s.logError(r, sh.Number, err)
		}
		pos.Offset = offset
		return pos, nil
	}
	info, err := s.log.Info(partition)
	if err != nil {
		return pos, s.logError(r, sh.Number, err)
	}
	pos.Offset = info.Start
	if at.Type == Latest {
		pos.Offset = info.Stable
	}
	return pos, nil
}

func checkSequence(r *catalog.Resource, sh *catalog.Shard, at StartingAt) (ids.Sequence, error) {
	seq, canonical, err := ids.ParseSequence(at.Sequence)
	where := func() string {
		return "StartingSequenceNumber " + canonical + " used in " + cmp.Or(at.Call, "GetShardIterator") + " on shard " + sh.Number.String() +
			" in stream " + r.Name + " under account " + r.Account + " is invalid"
	}
	switch {
	case err != nil:
		return seq, invalid("%s.", where())
	case seq.Shard != uint32(sh.Number):
		return seq, invalid("Invalid StartingSequenceNumber. It encodes %s, while it was used in a call to a shard with %s",
			ids.Shard(seq.Shard), sh.Number)
	case seq.Version != 2 || seq.Created != sh.Created/1000:
		return seq, invalid("%s because it did not come from this stream.", where())
	}
	return seq, nil
}

// An iterator's payload: number 8 | generation 4 | shard 4 | offset 8 | length 1
// | stream name. The name is for messages once the stream is gone.
const iteratorFixed = 8 + 4 + 4 + 8 + 1

// AppendIterator appends the iterator for pos, made now.
func (s *Service) AppendIterator(dst []byte, pos Position) []byte {
	var buf [iteratorFixed + 128]byte
	b := binary.BigEndian.AppendUint64(buf[:0], pos.Stream.Stream.Number)
	b = binary.BigEndian.AppendUint32(b, pos.Generation)
	b = binary.BigEndian.AppendUint32(b, uint32(pos.Shard))
	b = binary.BigEndian.AppendUint64(b, uint64(pos.Offset))
	b = append(b, byte(len(pos.Stream.Name)))
	b = append(b, pos.Stream.Name...)
	return s.seal.appendSealed(dst, iteratorToken, pos.Stream.Scope, clock.Millis(s.clock), b)
}

// OpenIterator reads an iterator that a client of scope brings. One in quotes is
// taken too, as AWS does. Errors: Invalid, Expired, NotFound when the stream is
// gone.
func (s *Service) OpenIterator(scope catalog.Scope, text []byte) (Position, error) {
	if n := len(text); n >= 2 && text[0] == '"' && text[n-1] == '"' {
		text = text[1 : n-1]
	}
	issued, p, err := s.seal.open(iteratorToken, scope, text)
	if err != nil || len(p) < iteratorFixed || len(p) < iteratorFixed+int(p[iteratorFixed-1]) {
		return Position{}, invalid("Invalid ShardIterator.")
	}
	if now := clock.Millis(s.clock); now-issued > IteratorLife.Milliseconds() {
		return Position{}, errs.New(errs.Expired, "Iterator expired. The iterator was created at time "+utcText(issued)+
			" while right now it is "+utcText(now)+" which is further in the future than the tolerated delay of 300000 milliseconds.")
	}
	number := binary.BigEndian.Uint64(p)
	pos := Position{
		Generation: binary.BigEndian.Uint32(p[8:]),
		Shard:      ids.Shard(binary.BigEndian.Uint32(p[12:])),
		Offset:     int64(binary.BigEndian.Uint64(p[16:])),
	}
	r := s.catalog.StreamNumber(number)
	if !s.visible(r) || r.Scope != scope || shardOf(r, pos.Shard) == nil {
		name := string(p[iteratorFixed : iteratorFixed+int(p[iteratorFixed-1])])
		return Position{}, shardNotFound(scope.Account, name, pos.Shard.String())
	}
	pos.Stream = r
	return pos, nil
}

// utcText writes a time as AWS does in this message.
func utcText(millis int64) string {
	return time.UnixMilli(millis).UTC().Format("Mon Jan 02 15:04:05 UTC 2006")
}

// logError says what a failure of the log means for a shard.
func (s *Service) logError(r *catalog.Resource, shard ids.Shard, err error) error {
	if errs.KindOf(err) == errs.NotFound { // deleted a moment ago
		return shardNotFound(r.Account, r.Name, shard.String())
	}
	return errs.Wrap(errs.KindOf(err), "read shard "+shard.String(), err)
}
