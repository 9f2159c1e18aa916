package iceberg

import (
	"context"
	"errors"
	"slices"

	"thalweg/internal/delivery/convert"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/delivery/prefix"
	"thalweg/internal/errs"
	"thalweg/internal/lake"
	"thalweg/internal/lake/partition"
	"thalweg/internal/limits"
	"thalweg/internal/objstore"
)

// maxPartitions is how many partitions of tables the records of a batch may be of.
const maxPartitions = 500

// lakeDest is the destination.
type lakeDest struct {
	target
	catalog Catalog
	memory  *limits.Budget
	env     dest.Env
}

// refusal is a table that records cannot go to.
type refusal struct{ code, message string }

func (r *refusal) Error() string { return r.code + ": " + r.message }

// Deliver inserts the batch's records.
func (d *lakeDest) Deliver(ctx context.Context, b dest.Batch) (dest.Result, error) {
	// For one file at a time; before anything else is drawn, as it is waited for.
	release, err := convert.Acquire(ctx, d.memory, convert.MaxMemory)
	if err != nil {
		return dest.Result{}, err
	}
	defer release()
	w := &writing{lakeDest: d, ctx: ctx, batch: b, tried: map[name]*outcome{}}
	defer w.close()
	err = w.sort()
	for _, t := range w.tables {
		if err == nil {
			err = w.deliver(t)
		}
	}
	if err != nil {
		return dest.Result{}, w.classify(err)
	}
	return w.res, nil
}

// writing is one delivery.
type writing struct {
	*lakeDest
	ctx   context.Context
	batch dest.Batch

	tried  map[name]*outcome // the tables that records are for
	tables []*table
	groups int // of all tables
	spool  spool
	of     []int32 // by record: 1 and on are w.tables, 0 is none
	held   int64   // of the memory
	res    dest.Result
}

// outcome is a table that was looked for.
type outcome struct {
	table *table
	err   error
}

func (w *writing) scope() lake.Scope { return lake.Scope{Account: w.account, Region: w.region} }

// hold draws memory until the delivery ends.
func (w *writing) hold(n int64) error {
	if !w.memory.TryAcquire(n) {
		return &dest.Error{Class: dest.Throttled, Code: "InternalError", Message: "The server is short of memory for deliveries."}
	}
	w.held += n
	return nil
}

func (w *writing) close() {
	w.spool.close()
	w.memory.Release(w.held)
}

// sort looks at all records: which table and partition they are for, and which cannot
// be inserted.
func (w *writing) sort() error {
	index := -1
	return w.batch.Records(w.ctx, func(r *dest.Record) error {
		index++
		if index%holdRecords == 0 {
			if err := w.hold(holdRecords * (bytesOfRecord + bytesOfSpooled)); err != nil {
				return err
			}
		}
		w.of = append(w.of, 0)
		err := w.take(r)
		var bad *convert.Failure
		var no *refusal
		switch {
		case errors.As(err, &bad):
			no = &refusal{bad.Code, bad.Message}
		case err == nil || !errors.As(err, &no):
			return err
		case w.table != name{} && len(r.Keys) == 0 && no == w.tried[w.table].err: // nor can any other record
			return &dest.Error{Class: dest.Permanent, Code: no.code, Message: no.message}
		}
		w.res.Rejected = append(w.res.Rejected, dest.Rejected{Index: index, Code: no.code, Message: no.message, Attempts: 1})
		return nil
	})
}

// Memory is drawn for so many records at once: what is kept of each, and of each that
// is set aside.
const (
	holdRecords    = 1 << 14
	bytesOfRecord  = 8
	bytesOfSpooled = 48
)

// take sets a record aside for its table and partition.
func (w *writing) take(r *dest.Record) error {
	n, err := w.route(r.Keys)
	if err != nil {
		return err
	}
	o := w.tried[n]
	if o == nil {
		o = &outcome{}
		if o.table, o.err = w.open(n); o.err == nil {
			w.tables = append(w.tables, o.table)
			o.table.number = int32(len(w.tables))
		}
		w.tried[n] = o
	}
	if o.err != nil {
		return o.err
	}
	t := o.table
	values, err := t.probe.Read(r.Data)
	if err != nil {
		return err
	}
	tuple := t.parsed.Tuple(values)
	key := partition.Key(tuple)
	g := t.groups[key]
	if g == nil {
		if w.groups == maxPartitions {
			return &refusal{"Iceberg.TooManyPartitions", "The batch has records of more than 500 partitions."}
		}
		w.groups++
		g = &group{number: int32(w.groups), key: key, tuple: tuple}
		t.groups[key], t.order = g, append(t.order, g)
	}
	w.of[len(w.of)-1] = t.number
	return w.spool.add(w.env.Scratch, g.number, r.Data)
}

// route says which table a record is for.
func (w *writing) route(keys map[string]string) (name, error) {
	said := func(what string) (string, bool) {
		for _, from := range []string{prefix.FromLambda, prefix.FromQuery} {
			if v, ok := keys[from+what]; ok {
				return v, true
			}
		}
		return "", false
	}
	if op, ok := said("operation"); ok && op != "insert" {
		return name{}, &refusal{"Iceberg.UnsupportedOperation", "The operation " + op + " is not supported by this server: records are inserted."}
	}
	database, ok := said("destinationDatabaseName")
	table, also := said("destinationTableName")
	n := name{database, table}
	if !ok && !also {
		n = w.table
	}
	if n.database == "" || n.table == "" {
		return n, &refusal{"Iceberg.InvalidTableName", "The record names no table, and no single one is configured."}
	}
	return n, nil
}

// classify makes the engine's error of one.
func (w *writing) classify(err error) error {
	var known *dest.Error
	if errors.Is(err, context.Canceled) {
		return err
	}
	if !errors.As(err, &known) {
		known = &dest.Error{Code: "Iceberg.DeliveryFailed", Message: "The records could not be inserted.", Err: err}
		if errors.Is(err, objstore.ErrNoBucket) {
			known.Code, known.Message = "S3.NoSuchBucket", "The specified bucket does not exist."
		}
	}
	there := map[int32]bool{}
	known.Untouched = true
	for _, t := range w.tables {
		if t.done {
			there[t.number] = true
		}
		known.Untouched = known.Untouched && !t.done && !t.doubtful
	}
	if len(there) > 0 {
		of := w.of
		known.Arrived = func(index int) bool { return index < len(of) && there[of[index]] }
	}
	return known
}

// refused makes of an error about a table one about each of its records, unless it may
// pass.
func refused(n name, err error) error {
	switch kind := errs.KindOf(err); {
	case errors.Is(err, lake.ErrNoTable), errors.Is(err, lake.ErrNoNamespace), kind == errs.Unsupported:
		return &refusal{"Iceberg.NoSuchTable", "The table " + n.text() + " does not exist, or is not of format version 2."}
	case kind == errs.Denied || errors.Is(err, objstore.ErrOwner):
		return &refusal{"S3.AccessDenied", "The table " + n.text() + " is in a bucket of another account."}
	case kind == errs.Invalid:
		return &refusal{"Iceberg.UnsupportedTable", "The table " + n.text() + " cannot be written: " + err.Error()}
	}
	return err
}

// sorted are the groups of a table by their keys, which is an order that no attempt
// changes.
func (t *table) sorted() []*group {
	slices.SortFunc(t.order, func(a, b *group) int {
		if a.key < b.key {
			return -1
		}
		return 1
	})
	return t.order
}
