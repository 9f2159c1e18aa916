package kinesis

import (
	"context"
	"strconv"

	"thalweg/internal/awsapi"
	"thalweg/internal/awsapi/codec/json"
	"thalweg/internal/catalog"
	"thalweg/internal/errs"
	"thalweg/internal/streams"
)

// maxFastKey is the longest partition key, in bytes, that needs no counting of
// characters: the model allows 256 of them.
const maxFastKey = 256

// fastPutRecord is PutRecord for a JSON document of the usual form.
func (d *Door) fastPutRecord(ctx context.Context, c awsapi.Codec, body, out []byte) ([]byte, bool, error) {
	if c != awsapi.JSON {
		return nil, false, nil
	}
	scan := d.scans.Get().(*putScan)
	defer d.putBack(scan)
	if !scan.putOne(body) {
		return nil, false, nil
	}
	p := d.beginPut(ctx, scan)
	if p == nil {
		return nil, false, nil
	}
	defer p.Release()
	p.Commit()
	at, err := p.Result(0)
	if err != nil {
		return nil, true, wireError(err)
	}
	out = append(out, '{')
	if p.Encrypted() {
		out = append(out, `"EncryptionType":"KMS",`...)
	}
	return appendPlaced(out, at), true, nil
}

// fastPutRecords is PutRecords for a JSON document of the usual form.
func (d *Door) fastPutRecords(ctx context.Context, c awsapi.Codec, body, out []byte) ([]byte, bool, error) {
	if c != awsapi.JSON {
		return nil, false, nil
	}
	scan := d.scans.Get().(*putScan)
	defer d.putBack(scan)
	if !scan.put(body) {
		return nil, false, nil
	}
	p := d.beginPut(ctx, scan)
	if p == nil {
		return nil, false, nil
	}
	defer p.Release()
	p.Commit()
	failed := 0
	for i := range p.Len() {
		if _, err := p.Result(i); err != nil {
			if errs.KindOf(err) == errs.NotFound {
				return nil, true, wireError(err)
			}
			failed++
		}
	}
	out = append(out, '{')
	if p.Encrypted() {
		out = append(out, `"EncryptionType":"KMS",`...)
	}
	out = append(out, `"FailedRecordCount":`...)
	out = strconv.AppendInt(out, int64(failed), 10)
	out = append(out, `,"Records":[`...)
	for i := range p.Len() {
		if i > 0 {
			out = append(out, ',')
		}
		at, err := p.Result(i)
		if err != nil {
			code, text := recordError(err)
			out = append(out, `{"ErrorCode":"`...)
			out = append(out, code...)
			out = append(out, `","ErrorMessage":`...)
			out = json.AppendString(out, text)
			out = append(out, '}')
			continue
		}
		out = appendPlaced(append(out, '{'), at)
	}
	return append(out, "]}"...), true, nil
}

func (d *Door) putBack(scan *putScan) {
	scan.reset()
	d.scans.Put(scan)
}

// beginPut writes what was scanned into a put that is ready to commit. Without a
// put the general path is to decide: all that can be wrong with a request is
// said there.
func (d *Door) beginPut(ctx context.Context, scan *putScan) *streams.Put {
	r := d.scanned(ctx, scan)
	if r == nil || awsapi.Authorize(ctx, r.ARN) != nil {
		return nil
	}
	p := d.streams.NewPut(r)
	if !fill(p, r, scan.records) {
		p.Release()
		return nil
	}
	return p
}

// scanned returns the stream that was named, nil if it takes more to tell.
func (d *Door) scanned(ctx context.Context, scan *putScan) *catalog.Resource {
	scope, name := scopeOf(awsapi.CallerFrom(ctx)), scan.name
	if scan.arn != nil {
		a, err := parseStreamARN(string(scan.arn))
		if err != nil || name != nil && string(name) != a.name {
			return nil
		}
		scope, name = a.scope, []byte(a.name)
	}
	r, err := d.streams.Usable(scope, name)
	if err != nil || scan.arn != nil && r.ARN != string(scan.arn) {
		return nil
	}
	return r
}

// fill adds the records to p and reports whether every one is as the model and
// the stream want it.
func fill(p *streams.Put, r *catalog.Resource, records []putEntry) bool {
	total, limit := 0, r.Stream.MaxRecordKiB<<10
	for i := range records {
		e := &records[i]
		size := blobSize(e.data)
		total += size + len(e.key)
		if size < 0 || size > limit || total > streams.MaxPutBytes || len(e.key) > maxFastKey ||
			e.key == nil && !r.Stream.AutoDistribution || e.key != nil && len(e.key) == 0 ||
			e.hashKey != nil && !hashKeyForm(e.hashKey) {
			return false
		}
		dst, err := p.Add(e.key, e.hashKey, size)
		if err != nil || !decodeBlob(dst, e.data) {
			return false
		}
	}
	return true
}

// hashKeyForm is the model's pattern for a hash key: 0|([1-9]\d{0,38}).
func hashKeyForm(t []byte) bool {
	if len(t) == 0 || len(t) > 39 || t[0] == '0' && len(t) > 1 {
		return false
	}
	for _, c := range t {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// appendPlaced appends where a record is, as PutRecord answers it and as each
// entry of PutRecords is: the last members of an object, and its end.
func appendPlaced(out []byte, at streams.Placed) []byte {
	out = append(out, `"SequenceNumber":"`...)
	out = at.Sequence.Append(out)
	out = append(out, `","ShardId":"`...)
	out = at.Shard.Append(out)
	return append(out, `"}`...)
}
