package s3

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"thalweg/internal/delivery/compress"
	"thalweg/internal/delivery/convert"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/delivery/prefix"
	"thalweg/internal/log"
	"thalweg/internal/objstore"
)

// Deliver puts one object, or one for each set of partition keys, or one for each partition
// where the template of keys says so, with the records' data one behind the other.
func (d *bucketDest) Deliver(ctx context.Context, b dest.Batch) (dest.Result, error) {
	w := &writing{bucketDest: d, ctx: ctx, batch: b}
	if d.conversion != nil && b.ErrorType == "" {
		var err error
		if w.converter, w.table, err = d.conversion.open(b.Stream, b.Pinned); err != nil {
			return w.unconverted(err)
		}
		release, err := convert.Acquire(ctx, d.conversion.memory, w.converter.Memory())
		if err != nil {
			return dest.Result{}, err
		}
		defer release()
	}
	apart := d.template.Has("partition-id") && b.ErrorType == ""
	index := -1
	err := b.Records(ctx, func(r *dest.Record) error {
		index++
		if w.object == nil || !maps.Equal(w.keys, r.Keys) || apart && r.Partition != w.partition {
			if err := w.finish(); err != nil {
				return err
			}
			w.keys, w.partition = maps.Clone(r.Keys), r.Partition
			name, err := w.name(r)
			w.refused = err
			if err == nil {
				if err := w.begin(name); err != nil {
					return err
				}
			}
		}
		if w.refused != nil {
			w.res.Rejected = append(w.res.Rejected, dest.Rejected{
				Index: index, Code: "S3.InvalidPrefix", Message: w.refused.Error(), Attempts: 1,
			})
			return nil
		}
		err := w.object.add(r.Data)
		var bad *convert.Failure
		if errors.As(err, &bad) {
			w.reject(index, bad)
			return nil
		}
		return err
	})
	if err == nil {
		err = w.finish()
	}
	if err != nil {
		w.drop()
		return dest.Result{}, classify(err, len(w.res.Objects) > 0)
	}
	return w.res, nil
}

// writing is one delivery.
type writing struct {
	*bucketDest
	ctx       context.Context
	batch     dest.Batch
	keys      map[string]string
	partition log.PartitionID
	refused   error // why records with these keys have no object

	converter *convert.Converter // nil when records are delivered as they are
	table     string             // that it is of, as the error output tells it

	object *object
	res    dest.Result
}

// name is the name of the object for the keys at hand, whose first record is r.
func (w *writing) name(r *dest.Record) (string, error) {
	parts := []string{w.c.bucket()}
	if w.template != nil && w.batch.ErrorType == "" {
		slot := prefix.Slot{Time: w.batch.Oldest, Made: w.batch.Created, Nth: len(w.res.Objects), Partition: r.Partition.Index, Offset: r.Offset,
			Extension: w.extension()}
		slot.Unique = dest.UUID(w.batch.Plan, append(parts, r.Partition.String(), strconv.FormatInt(r.Offset, 10))...)
		return w.template.Key(slot)
	}
	for _, k := range slices.Sorted(maps.Keys(w.keys)) {
		parts = append(parts, k, w.keys[k])
	}
	uuid := dest.UUID(w.batch.Plan, parts...)
	at := prefix.Values{Time: w.batch.Oldest, Seed: uuid, Keys: w.keys}
	o := prefix.Object{Stream: w.batch.Stream.Name, Version: w.batch.Version, UUID: uuid, Extension: w.extension()}
	if w.batch.ErrorType != "" {
		return w.names.ErrorKey(at, o, w.batch.ErrorType)
	}
	return w.names.Key(at, o)
}

func (w *writing) extension() string {
	switch {
	case w.c.FileExtension != "":
		return w.c.FileExtension
	case w.converter != nil:
		return ".parquet"
	}
	return w.c.CompressionFormat.Extension()
}

// object is one object in the making: compressed into a scratch file, since a put
// must know how long it is, and may be made twice.
type object struct {
	key     string
	file    dest.Scratch
	out     *bufio.Writer
	sum     hash.Hash
	size    int64
	records int64
	packer  packer
}

// packer writes records into an object.
type packer interface {
	Write(record []byte) error
	Close() error
}

// plain puts records one behind the other.
type plain struct{ io.WriteCloser }

func (p plain) Write(record []byte) error {
	_, err := p.WriteCloser.Write(record)
	return err
}

func (w *writing) begin(key string) error {
	file, err := w.env.Scratch()
	if err != nil {
		return err
	}
	o := &object{key: key, file: file, out: bufio.NewWriterSize(file, 64<<10), sum: sha256.New()}
	w.object = o
	if w.converter != nil {
		o.packer, err = w.converter.NewWriter(o)
		return err
	}
	entry := key[strings.LastIndexByte(key, '/')+1:]
	o.packer = plain{w.c.CompressionFormat.NewWriter(o, entry)}
	return nil
}

// Write takes what is compressed.
func (o *object) Write(p []byte) (int, error) {
	o.sum.Write(p)
	o.size += int64(len(p))
	return o.out.Write(p)
}

func (o *object) add(data []byte) error {
	if err := o.packer.Write(data); err != nil {
		return err
	}
	o.records++
	return nil
}

// finish puts the object at hand, if there is one.
func (w *writing) finish() error {
	o := w.object
	if o == nil {
		return nil
	}
	defer w.drop()
	if o.records == 0 { // none could be converted
		return nil
	}
	if err := o.packer.Close(); err != nil {
		return err
	}
	if err := o.out.Flush(); err != nil {
		return err
	}
	if _, err := o.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err := w.store.Put(w.ctx, objstore.Ref{Bucket: w.c.bucket(), Key: o.key}, o.file, objstore.PutOptions{
		Headers: objstore.Headers{ContentType: compress.ContentType, ContentEncoding: w.c.CompressionFormat.ContentEncoding()},
		If:      objstore.Condition{Absent: true},
		Owner:   w.batch.Stream.Account,
	})
	// One of that name is this one, from an attempt before: the name is the batch's own.
	if err != nil && !errors.Is(err, objstore.ErrPrecondition) {
		return err
	}
	w.res.Objects = append(w.res.Objects, dest.Object{
		Bucket: w.c.bucket(), Key: o.key, Size: o.size, SHA256: hex.EncodeToString(o.sum.Sum(nil)), Records: o.records,
	})
	return nil
}

func (w *writing) drop() {
	if w.object != nil {
		_ = w.object.file.Close() // nothing of it is needed any more
		w.object = nil
	}
}
