package delivery

import (
	"context"
	"errors"
	"slices"
	"time"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/errs"
)

const (
	// retryFirst and retryMost are the bounds of the time between two attempts, before
	// jitter.
	retryFirst = time.Second
	retryMost  = time.Minute
	// s3Kind is the kind that backups and error outputs are delivered by.
	s3Kind = "ExtendedS3"
)

// errGivenUp ends the tries of a delivery whose stream is being deleted.
var errGivenUp = errors.New("the delivery stream is being deleted")

// backsUp tells whether what the source had goes to a bucket, too.
func backsUp(kind string, c *common) bool {
	switch c.S3BackupMode {
	case "Enabled", "AllData", "AllDocuments", "AllEvents":
		return c.backup(kind) != nil
	}
	return false
}

// backup is the configuration of the bucket that the backup goes to, nil when there
// is none; errors the one that the error output goes to.
func (c *common) backup(kind string) dest.Config {
	if c.S3BackupDescription != nil || kind == s3Kind {
		return c.S3BackupDescription
	}
	return c.S3DestinationDescription
}

func (c *common) errors(d *catalog.DeliveryDestination) dest.Config {
	if d.Kind == s3Kind && c.S3DestinationDescription == nil {
		return d.Config
	}
	return c.S3DestinationDescription
}

// delivery is one plan on its way.
type delivery struct {
	*runner
	r    *catalog.Resource
	plan *Plan
	dest *catalog.DeliveryDestination
	c    common
	e    Entry
	// touched tells that something of the plan may have arrived.
	touched bool
	status  Status
}

// deliver takes a plan to its end: backup, what the stages refused, the records, what
// the destination refused. Every step can be repeated, so a crash repeats all.
func (w *runner) deliver(ctx context.Context, r *catalog.Resource, p *Plan) error {
	d := &delivery{runner: w, r: r, plan: p, dest: r.Delivery.Version(p.Version)}
	if d.dest == nil {
		return errs.New(errs.Corrupt, "the destination that a plan was made for is not kept")
	}
	var err error
	if d.c, err = readCommon(d.dest.Config); err != nil {
		return err
	}
	d.e = Entry{Plan: *p, Stream: r.Name, Outcome: Delivered, Started: clock.Millis(w.s.clock)}
	err = d.steps(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, errGone) {
		return d.abandon()
	}
	if err != nil && !d.lost(err) {
		return err
	}
	return d.done()
}

// abandon has the batch planned anew: the file of its records is not there, as after a
// backup has been restored.
func (d *delivery) abandon() error {
	d.s.o.Logger.Error("a batch is planned anew: the file of its records is not there", "stream", d.r.Name, "account", d.r.Account,
		"plan", d.plan.ID)
	return d.s.commit([]event{{Number: d.line.number, Abandon: d.plan.ID}})
}

// steps takes all of them, from the first again when the plan has come to have another
// destination.
func (d *delivery) steps(ctx context.Context) error {
	for {
		if err := d.once(ctx); !errors.Is(err, errMoved) {
			return err
		}
	}
}

func (d *delivery) once(ctx context.Context) error {
	if backsUp(d.dest.Kind, &d.c) {
		b := d.batch(ctx)
		b.Plan, b.Records = dest.UUID(d.plan.ID, "backup"), d.source
		res, err := d.put(ctx, d.c.backup(d.dest.Kind), b)
		if err != nil {
			return err
		}
		d.e.Backup = res.Objects
		d.line.meter.BackupRecords.Add(d.plan.Records)
		d.line.meter.BackupBytes.Add(d.plan.Bytes)
	}
	if d.plan.Staged {
		if err := d.refused(ctx); err != nil {
			return err
		}
	}
	if d.plan.Failed == nil {
		res, err := d.main(ctx)
		if err == nil {
			d.e.Objects = res.Objects
			return d.rejected(ctx, res.Rejected)
		}
		if errors.Is(err, errMoved) || errors.Is(err, errGivenUp) || errors.Is(err, errGone) || d.dest.Kind == s3Kind || ctx.Err() != nil {
			return err
		}
		if err := d.fail(ctx, err); err != nil {
			return err
		}
	}
	d.e.Outcome, d.e.Error = Failed, d.plan.Failed.Error
	return d.allFailed(ctx)
}

// fail decides, durably, that the records go to the error output: after a crash too,
// when the destination might take them.
func (d *delivery) fail(ctx context.Context, err error) error {
	f := &PlanFailure{At: clock.Millis(d.s.clock), Attempts: d.e.Attempts, Error: err.Error(), Code: "InternalError", Message: err.Error()}
	var of *dest.Error
	if errors.As(err, &of) {
		f.Code, f.Message = of.Code, of.Message
		if f.Arrived, err = d.arrived(ctx, of); err != nil {
			return err
		}
	}
	failed := *d.plan
	failed.Failed = f
	if err := d.s.commit([]event{{Number: d.line.number, Plan: &failed}}); err != nil {
		return err
	}
	d.plan = &failed
	return nil
}

// arrived are the runs of records that an error says have arrived.
func (d *delivery) arrived(ctx context.Context, of *dest.Error) (runs []Run, err error) {
	if of.Arrived == nil {
		return nil, nil
	}
	index := int64(-1)
	err = d.batch(ctx).Records(ctx, func(*dest.Record) error {
		index++
		switch n := len(runs); {
		case !of.Arrived(int(index)):
		case n > 0 && runs[n-1].To == index:
			runs[n-1].To++
		default:
			runs = append(runs, Run{index, index + 1})
		}
		return nil
	})
	return runs, err
}

// main delivers the records, again and again for as long as the configuration says.
func (d *delivery) main(ctx context.Context) (res dest.Result, err error) {
	spec := d.s.o.Destinations[d.dest.Kind]
	to, err := spec.Open(d.dest.Config, d.s.env(d.r))
	if err != nil {
		return res, err
	}
	var until time.Time // none: S3 is tried until it takes the batch
	if d.dest.Kind != s3Kind {
		until = d.s.clock.Now().Add(time.Duration(or(d.c.RetryOptions.DurationInSeconds, int64(spec.Retry/time.Second))) * time.Second)
	}
	err = d.try(ctx, spec.Host(d.dest.Config), until, func(ctx context.Context) (err error) {
		res, err = to.Deliver(ctx, d.batch(ctx))
		return err
	})
	return res, err
}

// errMoved tells that the plan goes to another destination now.
var errMoved = errors.New("the plan has another destination")

// put delivers a batch to a bucket, until it takes it.
func (d *delivery) put(ctx context.Context, c dest.Config, b dest.Batch) (res dest.Result, err error) {
	spec := d.s.o.Destinations[s3Kind]
	to, err := spec.Open(c, d.s.env(d.r))
	if err != nil {
		return res, err
	}
	err = d.try(ctx, spec.Host(c), time.Time{}, func(ctx context.Context) (err error) {
		d.touched = true
		res, err = to.Deliver(ctx, b)
		return err
	})
	return res, err
}

// try makes attempts until one succeeds, one fails for good, the time is over (the
// zero time is never), or the stream is deleted: then one more is made.
func (d *delivery) try(ctx context.Context, at string, until time.Time, attempt func(context.Context) error) error {
	host := party{d.r.Account, at}
	for n := 0; ; n++ {
		stop := make(chan struct{})
		if d.deleting() {
			close(stop) // do not wait for a host that is left alone
		}
		if !d.s.breakers.enter(ctx, host, stop) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return errGivenUp
		}
		release, ok := d.s.work(ctx, d.line)
		if !ok {
			d.s.breakers.exit(host, false)
			return ctx.Err()
		}
		d.e.Attempts++
		d.line.set(Status{Attempts: d.e.Attempts, Waiting: "for the destination", Error: d.status.Error})
		err := attempt(ctx)
		release()
		if ctx.Err() != nil {
			d.s.breakers.exit(host, err == nil)
			return ctx.Err()
		}
		class := dest.ClassOf(err)
		d.s.breakers.exit(host, err == nil || class == dest.Permanent)
		if err == nil {
			d.line.meter.Succeeded.Add(1)
			return nil
		}
		d.line.meter.Failed.Add(1)
		var e *dest.Error
		d.touched = d.touched || !errors.As(err, &e) || !e.Untouched
		now := d.s.clock.Now()
		if class == dest.Permanent || errors.Is(err, errGone) || !until.IsZero() && !now.Before(until) {
			return err
		}
		if d.deleting() {
			return errors.Join(errGivenUp, err)
		}
		rest := d.s.o.Jitter(min(retryFirst<<min(n, 6), retryMost))
		if !until.IsZero() {
			rest = min(rest, until.Sub(now))
		}
		d.s.o.Logger.Warn("delivery failed", "stream", d.r.Name, "account", d.r.Account, "attempts", d.e.Attempts, "error", err)
		d.status = Status{Attempts: d.e.Attempts, Error: err.Error(), Waiting: "to try again", Next: now.Add(rest)}
		d.line.set(d.status)
		d.wait(ctx, nil, 0, rest)
		if err := d.move(); err != nil {
			return err
		}
	}
}

func (d *delivery) deleting() bool {
	r := d.s.catalog.Get(d.key)
	return r == nil || r.State == catalog.Deleting
}

// move lets a plan of which nothing has arrived follow a changed destination: else one
// made for a bucket that is not there would be in the way for ever. It answers
// errMoved then.
func (d *delivery) move() error {
	if d.touched {
		return nil
	}
	d.line.planning.Lock()
	defer d.line.planning.Unlock()
	r := d.s.catalog.Get(d.key)
	if r == nil || r.State != catalog.Active || r.Delivery.Destination.Version == d.plan.Version ||
		r.Delivery.Destination.Kind != d.dest.Kind {
		return nil
	}
	c, err := readCommon(r.Delivery.Destination.Config)
	if err != nil {
		return err
	}
	if backsUp(d.dest.Kind, &c) && d.plan.Staged && !d.there() {
		return nil // the backup would lack what the source had
	}
	moved := *d.plan
	moved.Version = r.Delivery.Destination.Version
	if moved.Pinned, err = d.s.pin(r); err != nil {
		return err
	}
	if err := d.s.commit([]event{{Number: d.line.number, Plan: &moved}}); err != nil {
		return err
	}
	d.r, d.plan, d.dest, d.c, d.e.Plan = r, &moved, &r.Delivery.Destination, c, moved
	return errMoved
}

// there tells whether the source has all records of the plan.
func (d *delivery) there() bool {
	at, err := d.s.sourceOf(d.r, d.line).all()
	return err == nil && !slices.ContainsFunc(d.plan.Ranges, func(r Range) bool {
		return !slices.ContainsFunc(at, func(p place) bool { return p.partition == r.Partition() && p.first <= r.From })
	})
}

// batch is the plan's records as a destination gets them.
func (d *delivery) batch(_ context.Context) dest.Batch {
	b := dest.Batch{
		Stream: d.s.env(d.r).Stream, Plan: d.plan.ID, Version: versionText(d.plan.Version), Pinned: d.plan.Pinned, Created: time.UnixMilli(d.plan.Created).UTC(),
		Oldest: time.UnixMilli(d.plan.Oldest).UTC(), Bytes: d.plan.Bytes, Records: d.source,
	}
	for _, r := range d.plan.Ranges {
		b.Ranges = append(b.Ranges, dest.Range{Partition: r.Partition(), From: r.From, To: r.To})
	}
	if d.plan.Staged {
		b.Records = func(ctx context.Context, yield func(*dest.Record) error) error {
			return d.s.staged(ctx, d.plan.ID, entryRecord, func(f *dest.Failure) error { return yield(&f.Record) })
		}
	}
	return b
}

// source goes over the records as the source had them.
func (d *delivery) source(ctx context.Context, yield func(*dest.Record) error) error {
	if d.plan.Staged {
		kept := false
		err := d.s.staged(ctx, d.plan.ID, entryRaw, func(f *dest.Failure) error { kept = true; return yield(&f.Record) })
		if err != nil || kept {
			return err
		}
	} // what was set aside before there was a backup is what was made of them
	src := d.s.sourceOf(d.r, d.line)
	for _, r := range d.plan.Ranges {
		p := place{partition: r.Partition(), next: r.From, end: r.To}
		next, err := src.read(p, r.To, func(rec *dest.Record) (bool, error) {
			if err := ctx.Err(); err != nil {
				return false, err
			}
			return true, yield(rec)
		})
		if err != nil {
			return err
		}
		if next < r.To {
			return errs.New(errs.Corrupt, "records of a plan are not in the log any more")
		}
	}
	return nil
}
