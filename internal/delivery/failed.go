package delivery

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"thalweg/internal/delivery/dest"
)

// What cannot be delivered goes to the error output: objects of one JSON document a
// line (docs.aws.amazon.com/firehose/latest/dev/retry.html).

// conversionFailed is the type whose lines have names of their own, and a table, which
// is an object.
const (
	conversionFailed = "format-conversion-failed"
	tableMember      = "dataCatalogTable"
)

// failureLine appends the line of a record that failed.
func failureLine(dst []byte, f *dest.Failure, ended int64) []byte {
	dst = append(dst, `{"attemptsMade":`...)
	dst = strconv.AppendInt(dst, int64(f.Attempts), 10)
	dst = append(dst, `,"arrivalTimestamp":`...)
	dst = strconv.AppendInt(dst, f.Record.Arrival, 10)
	code, message := "errorCode", "errorMessage"
	if f.Type == conversionFailed {
		code, message = "lastErrorCode", "lastErrorMessage"
	}
	dst = appendMember(dst, code, f.Code)
	dst = appendMember(dst, message, f.Message)
	dst = append(dst, `,"attemptEndingTimestamp":`...)
	dst = strconv.AppendInt(dst, ended, 10)
	dst = append(dst, `,"rawData":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, f.Record.Data)
	dst = append(dst, '"')
	names := make([]string, 0, len(f.Fields))
	for name := range f.Fields {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if name == tableMember {
			dst = append(append(dst, `,"`+tableMember+`":`...), f.Fields[name]...)
			continue
		}
		dst = appendMember(dst, name, f.Fields[name])
	}
	if f.Record.Sequence != "" {
		dst = appendMember(dst, "sequenceNumber", f.Record.Sequence)
		dst = appendMember(dst, "shardId", f.Record.ShardID)
	}
	return append(dst, "}\n"...)
}

func appendMember(dst []byte, name, value string) []byte {
	dst = append(dst, ',', '"')
	dst = append(dst, name...)
	dst = append(dst, '"', ':')
	text, _ := json.Marshal(value) // a string has a JSON form
	return append(dst, text...)
}

// refused writes what the stages refused, by type.
func (d *delivery) refused(ctx context.Context) error {
	types := map[string]int64{}
	err := d.s.staged(ctx, d.plan.ID, entryFailed, func(f *dest.Failure) error {
		types[f.Type]++
		return nil
	})
	if err != nil {
		return err
	}
	kinds := make([]string, 0, len(types))
	for t := range types {
		kinds = append(kinds, t)
	}
	slices.Sort(kinds)
	for _, kind := range kinds {
		d.e.Refused += types[kind]
		err := d.errors(ctx, kind, func(ctx context.Context, yield func(*dest.Failure) error) error {
			return d.s.staged(ctx, d.plan.ID, entryFailed, func(f *dest.Failure) error {
				if f.Type != kind {
					return nil
				}
				return yield(f)
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// rejected writes the records that the destination refused.
func (d *delivery) rejected(ctx context.Context, list []dest.Rejected) error {
	if len(list) == 0 {
		return nil
	}
	d.e.Refused += int64(len(list))
	types := map[string]bool{}
	for i := range list {
		types[list[i].Type] = true
	}
	for _, kind := range slices.Sorted(maps.Keys(types)) {
		if err := d.rejectedAs(ctx, list, kind); err != nil {
			return err
		}
	}
	return nil
}

// rejectedAs writes those of one type.
func (d *delivery) rejectedAs(ctx context.Context, list []dest.Rejected, kind string) error {
	return d.errors(ctx, cmp.Or(kind, d.s.o.Destinations[d.dest.Kind].ErrorType), func(ctx context.Context, yield func(*dest.Failure) error) error {
		at, next := 0, 0
		return d.batch(ctx).Records(ctx, func(r *dest.Record) error {
			at++
			if next == len(list) || list[next].Index != at-1 {
				return nil
			}
			x := &list[next]
			next++
			if x.Type != kind {
				return nil
			}
			return yield(&dest.Failure{Record: *r, Type: kind, Code: x.Code, Message: x.Message, Attempts: x.Attempts, Fields: x.Fields})
		})
	})
}

// allFailed writes all records, which were not delivered in time.
func (d *delivery) allFailed(ctx context.Context) error {
	why := d.plan.Failed
	return d.errors(ctx, d.s.o.Destinations[d.dest.Kind].ErrorType, func(ctx context.Context, yield func(*dest.Failure) error) error {
		index := int64(-1)
		return d.batch(ctx).Records(ctx, func(r *dest.Record) error {
			index++
			if why.arrived(index) {
				return nil
			}
			return yield(&dest.Failure{Record: *r, Code: why.Code, Message: why.Message, Attempts: why.Attempts})
		})
	})
}

// errors delivers lines to the error output, until it takes them.
func (d *delivery) errors(ctx context.Context, kind string, each func(context.Context, func(*dest.Failure) error) error) error {
	ended := d.plan.Created // not the time of now: a repetition writes the same
	if d.plan.Failed != nil {
		ended = d.plan.Failed.At
	}
	b := d.batch(ctx)
	b.Plan, b.ErrorType = dest.UUID(d.plan.ID, "errors", kind), kind
	b.Records = func(ctx context.Context, yield func(*dest.Record) error) error {
		var line []byte
		return each(ctx, func(f *dest.Failure) error {
			line = failureLine(line[:0], f, ended)
			r := f.Record
			r.Data, r.Keys = line, nil
			return yield(&r)
		})
	}
	res, err := d.put(ctx, d.c.errors(d.dest), b)
	d.e.Errors = append(d.e.Errors, res.Objects...)
	return err
}
