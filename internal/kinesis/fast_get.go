package kinesis

import (
	"context"
	"strconv"

	"thalweg/internal/awsapi"
	"thalweg/internal/awsapi/codec/json"
	"thalweg/internal/opt"
	"thalweg/internal/streams"
)

// answerPiece is how much of an answer is gathered before it goes out, bytes.
const answerPiece = 256 << 10

// fastGetRecords is GetRecords for a JSON document of the usual form: each
// record goes from its batch into the answer, base64 in between and no copy.
func (d *Door) fastGetRecords(ctx context.Context, c awsapi.Codec, body, out []byte) ([]byte, bool, error) {
	if c != awsapi.JSON {
		return nil, false, nil
	}
	iterator, streamARN, limit, ok := scanGet(body)
	if !ok {
		return nil, false, nil
	}
	pos, err := d.position(ctx, iterator, streamARN)
	if err != nil {
		return nil, false, nil
	}
	if !awsapi.Hold(ctx, 2*answerPiece) {
		return nil, false, nil
	}
	page, err := d.streams.GetRecords(pos, limit)
	if err != nil {
		return nil, true, wireError(err)
	}
	defer page.Close()
	out = append(out, `{"Records":[`...)
	for page.Next() {
		if page.Count() > 1 {
			out = append(out, ',')
		}
		if out = appendRecord(out, page.Record()); len(out) >= answerPiece {
			out = awsapi.Send(ctx, out) // a page with a record in it has no error
		}
	}
	if page.Err() != nil {
		return nil, false, nil
	}
	out = append(out, `],"MillisBehindLatest":`...)
	out = strconv.AppendInt(out, page.MillisBehindLatest(), 10)
	if page.Ended() {
		return appendChildren(out, page.Position()), true, nil
	}
	out = append(out, `,"NextShardIterator":"`...)
	out = d.streams.AppendIterator(out, page.Position())
	return append(out, `"}`...), true, nil
}

// appendChildren ends an answer at a closed shard's end.
func appendChildren(out []byte, pos streams.Position) []byte {
	out = append(out, `,"ChildShards":[`...)
	for i, sh := range streams.Children(pos.Stream, pos.Shard) {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, `{"HashKeyRange":{"EndingHashKey":"`...)
		out = sh.Range.End.Append(out)
		out = append(out, `","StartingHashKey":"`...)
		out = sh.Range.Start.Append(out)
		out = append(out, `"},"ParentShards":["`...)
		for i, p := range sh.Parents {
			if i > 0 {
				out = append(out, `","`...)
			}
			out = p.Append(out)
		}
		out = append(out, `"],"ShardId":"`...)
		out = sh.Number.Append(out)
		out = append(out, `"}`...)
	}
	return append(out, "]}"...)
}

// appendRecord appends a record, its members in the order of their names.
func appendRecord(out []byte, r *streams.Record) []byte {
	out = append(out, `{"ApproximateArrivalTimestamp":`...)
	out = json.AppendEpoch(out, r.Arrival)
	out = append(out, `,"Data":"`...)
	out = json.AppendBase64(out, r.Data)
	if r.Encrypted {
		out = append(out, `","EncryptionType":"KMS`...)
	}
	if r.Key != nil {
		out = append(out, `","PartitionKey":`...)
		out = appendKey(out, r.Key)
		out = append(out, `,"SequenceNumber":"`...)
	} else {
		out = append(out, `","SequenceNumber":"`...)
	}
	out = r.Sequence.Append(out)
	return append(out, `"}`...)
}

// appendKey appends a partition key as a JSON string.
func appendKey(out, key []byte) []byte {
	for _, c := range key {
		if c < 0x20 || c >= 0x7F || c == '"' || c == '\\' {
			return json.AppendString(out, string(key))
		}
	}
	out = append(out, '"')
	out = append(out, key...)
	return append(out, '"')
}

// scanGet scans a GetRecords document.
func scanGet(b []byte) (iterator []byte, streamARN opt.V[string], limit int, ok bool) {
	s := newScanner(b)
	s.want('{')
	limit = -1
	for first := true; s.ok; first = false {
		name, more := s.member(first)
		if !more {
			break
		}
		switch {
		case string(name) == "ShardIterator" && iterator == nil:
			iterator = s.text()
		case string(name) == "StreamARN" && !streamARN.Set:
			streamARN = opt.Of(string(s.text()))
		case string(name) == "Limit" && limit < 0:
			limit = s.integer()
		default:
			s.ok = false
		}
	}
	if limit < 0 {
		limit = streams.MaxGetRecords
	}
	ok = s.end() && len(iterator) > 0 && len(iterator) <= 512 && limit >= 1 && limit <= streams.MaxGetRecords
	return iterator, streamARN, limit, ok
}

// integer reads a short unsigned integer.
func (s *scanner) integer() int {
	for s.i < len(s.b) && s.b[s.i] == ' ' {
		s.i++
	}
	start := s.i
	for s.i < len(s.b) && s.i-start < 6 && s.b[s.i] >= '0' && s.b[s.i] <= '9' {
		s.i++
	}
	n, err := strconv.Atoi(string(s.b[start:s.i]))
	if err != nil || s.b[start] == '0' {
		s.ok = false
	}
	return n
}
