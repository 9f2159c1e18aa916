package streams

import (
	"time"

	"thalweg/internal/catalog"
	"thalweg/internal/errs"
	"thalweg/internal/ids"
	"thalweg/internal/limits"
	"thalweg/internal/log"
)

// LimitsTag is the tag by which a stream says which limits hold for it, whatever
// the server's are. Its value is a limits.Mode.
const LimitsTag = "thalweg:limits"

// The rates of one shard, from
// docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html. What may
// be written at once is the largest record that the stream takes, which is how a
// record of 10 MiB gets into a shard that takes 1 MiB a second
// (docs.aws.amazon.com/streams/latest/dev/large-records.html).
const writeBytesPerSecond = 1 << 20

var (
	writeRecordsRate = limits.Rate{PerSecond: 1000, Burst: 1000}
	readBytesRate    = limits.Rate{PerSecond: 2 << 20, Burst: 2 << 20}
	readCallsRate    = limits.Rate{PerSecond: 5, Burst: 5}
	iteratorsRate    = limits.Rate{PerSecond: 5, Burst: 5}
	subscribeRate    = limits.Rate{PerSecond: 1, Burst: 1}
	// One of a stream, of all operations together
	// (docs.aws.amazon.com/streams/latest/dev/kds-dryrun-validation.html).
	dryRunRate = limits.Rate{PerSecond: 1, Burst: 1}
)

// shardUse is what was used of a shard's rates.
type shardUse struct {
	writeBytes, writeRecords, readBytes, readCalls, iterators limits.Bucket
	// barred is until when GetRecords is refused after it gave more than there was.
	barred int64
}

// rests reports whether nothing is used any more.
func (u *shardUse) rests(now int64) bool {
	return max(u.writeBytes.FullAt(), u.writeRecords.FullAt(), u.readBytes.FullAt(), u.readCalls.FullAt(),
		u.iterators.FullAt(), u.barred) <= now
}

// write takes records of size bytes together, or tells the limit that refuses
// them.
func (u *shardUse) write(now, burst, records, size int64) (Limit, bool) {
	bytes := limits.Rate{PerSecond: writeBytesPerSecond, Burst: burst}
	switch {
	case !u.writeBytes.Has(bytes, now, size):
		return WriteBytes, false
	case !u.writeRecords.Has(writeRecordsRate, now, records):
		return WriteRecords, false
	}
	u.writeBytes.Spend(bytes, now, size)
	u.writeRecords.Spend(writeRecordsRate, now, records)
	return 0, true
}

// get takes one call of GetRecords, or tells the limit that refuses it.
func (u *shardUse) get(now int64) (Limit, bool) {
	switch {
	case now < u.barred:
		return ReadBytes, false
	case !u.readCalls.Has(readCallsRate, now, 1):
		return ReadCalls, false
	}
	u.readCalls.Spend(readCallsRate, now, 1)
	return 0, true
}

// iterator takes one call of GetShardIterator, or tells the limit that refuses it.
func (u *shardUse) iterator(now int64) (Limit, bool) {
	if !u.iterators.Has(iteratorsRate, now, 1) {
		return IteratorCalls, false
	}
	u.iterators.Spend(iteratorsRate, now, 1)
	return 0, true
}

// got takes what a GetRecords gave. An answer may be larger than what there is;
// then there is nothing more until all of it has come in: five seconds after one
// of 10 MiB (API_GetRecords).
func (u *shardUse) got(now, size int64) {
	u.readBytes.Spend(readBytesRate, now, size)
	if u.readBytes.Owes(readBytesRate, now) > 0 {
		u.barred = u.readBytes.FullAt()
	}
}

// Limits is what holds for a stream: what its tag says, else the server's.
func (s *Service) Limits(r *catalog.Resource) limits.Mode {
	if r != nil {
		if m, ok := limits.ParseMode(r.Tags[LimitsTag]); ok {
			return m
		}
	}
	return s.throttle.mode
}

// checkLimitsTag refuses a LimitsTag that would do nothing.
func checkLimitsTag(tags map[string]string) error {
	v, ok := tags[LimitsTag]
	if _, known := limits.ParseMode(v); ok && !known {
		return invalid("The value of the tag %s must be one of off, warn, aws.", LimitsTag)
	}
	return nil
}

// AdmitWrite draws records on the rates of an open shard, whichever door they
// come through but for [Service.NewPut], which does so itself. size is that of
// their keys and data. It reports false if they are to be refused.
func (s *Service) AdmitWrite(r *catalog.Resource, shard ids.Shard, records, size int) bool {
	mode := s.Limits(r)
	if !mode.On() {
		return true
	}
	limit, ok := s.throttle.write(s.throttle.now(), r.Stream.PartitionOf(shard), r, records, size)
	return ok || !s.throttle.exceeded(mode, limit, r.Account, r.Name, int64(records))
}

func (t *throttle) write(now int64, p log.PartitionID, r *catalog.Resource, records, size int) (limit Limit, ok bool) {
	t.shards.Do(p, now, func(u *shardUse) {
		limit, ok = u.write(now, int64(r.Stream.MaxRecordKiB)<<10, int64(records), int64(size))
	})
	return limit, ok
}

// admit refuses the records of a put for which their shard has no room. A shard's
// records are refused from the first of them that finds none, so that those which
// are stored never stand before an earlier one that is put again.
func (p *Put) admit() {
	t, res := p.svc.throttle, p.route.res
	type refusal struct {
		limit Limit
		err   error
	}
	shut := make([]refusal, len(p.groups))
	var over [LimitCount]int64
	now := t.now()
	for i, at := range p.placed {
		if len(p.refused) > 0 && p.refused[i] != nil {
			continue // already
		}
		sh, by := p.groups[at.group].shard, &shut[at.group]
		if by.err == nil {
			limit, ok := t.write(now, sh.partition, res, 1, int(at.size))
			if ok {
				continue
			}
			*by = refusal{limit, rateExceeded(res, sh.number)}
		}
		over[by.limit]++
		if p.route.limits == limits.AWS {
			p.refuse(i, by.err)
			sh.meter.writeThrottled(1)
		}
	}
	for limit, n := range over {
		if n > 0 {
			t.exceeded(p.route.limits, Limit(limit), res.Account, res.Name, n)
		}
	}
}

// GetRecords is [Service.Get] within the limits of GetRecords: a further error is
// Throttled. What the page shows is drawn on the shard's rate when it is closed.
func (s *Service) GetRecords(pos Position, limit int) (*Page, error) {
	mode, within := s.Limits(pos.Stream), false
	if mode.On() {
		var err error
		if within, err = s.admitShard(mode, pos.Stream, pos.Shard, (*shardUse).get); err != nil {
			s.meters.of(pos.Stream.Stream.Number, pos.Shard).readThrottled()
			return nil, err
		}
	}
	p, err := s.Get(pos, limit)
	if err == nil {
		p.metered = within
	}
	return p, err
}

// AdmitIterator draws one GetShardIterator on the rate of a shard. Errors:
// Throttled.
func (s *Service) AdmitIterator(r *catalog.Resource, shard ids.Shard) error {
	mode := s.Limits(r)
	if !mode.On() {
		return nil
	}
	_, err := s.admitShard(mode, r, shard, (*shardUse).iterator)
	return err
}

// admitShard has take draw on a shard's rates: within tells whether there was
// enough. The error is for what is to be refused.
func (s *Service) admitShard(mode limits.Mode, r *catalog.Resource, shard ids.Shard, take func(*shardUse, int64) (Limit, bool)) (within bool, err error) {
	t := s.throttle
	now := t.now()
	var limit Limit
	t.shards.Do(r.Stream.PartitionOf(shard), now, func(u *shardUse) { limit, within = take(u, now) })
	if !within && t.exceeded(mode, limit, r.Account, r.Name, 1) {
		return false, rateExceeded(r, shard)
	}
	return within, nil
}

// got draws what the page showed on the shard's rate.
func (t *throttle) got(p log.PartitionID, size int64) {
	now := t.now()
	t.shards.Do(p, now, func(u *shardUse) { u.got(now, size) })
}

// AdmitDryRun draws one request that only asks whether it would succeed on the
// rate of a stream. It counts on no shard's rate. Errors: Throttled.
func (s *Service) AdmitDryRun(r *catalog.Resource) error {
	mode := s.Limits(r)
	if !mode.On() {
		return nil
	}
	key := callKey{scope: r.Scope, op: "DryRun", name: r.Name}
	if !s.throttle.call(key, dryRunRate) && s.throttle.exceeded(mode, DryRuns, r.Account, r.Name, 1) {
		return errs.New(errs.Throttled, "Rate exceeded for stream "+r.Name+" under account "+r.Account+".")
	}
	return nil
}

// admitSubscribe draws one SubscribeToShard on the rate of a consumer and shard.
// Errors: LimitExceeded, which is what SubscribeToShard knows.
func (s *Service) admitSubscribe(r *catalog.Resource, shard ids.Shard, consumer string) error {
	mode := s.Limits(r)
	if !mode.On() {
		return nil
	}
	key := callKey{scope: r.Scope, op: "SubscribeToShard", name: consumer, shard: shard}
	if !s.throttle.call(key, subscribeRate) && s.throttle.exceeded(mode, SubscribeCalls, r.Account, r.Name, 1) {
		return errs.New(errs.LimitExceeded, rateText(r, shard))
	}
	return nil
}

// pacePush draws size bytes that are pushed to a consumer on its rate for the
// shard, and returns how long to wait before the next push.
func (s *Service) pacePush(r *catalog.Resource, to subscriber, size int) (wait time.Duration) {
	mode := s.Limits(r)
	if !mode.On() {
		return 0
	}
	t := s.throttle
	now, within := t.now(), false
	key := callKey{scope: r.Scope, op: "push", name: to.consumer, shard: to.shard}
	t.calls.Do(key, now, func(b *limits.Bucket) {
		within = b.Has(readBytesRate, now, int64(size))
		if within || mode == limits.AWS {
			b.Spend(readBytesRate, now, int64(size))
			wait = b.Owes(readBytesRate, now)
		}
	})
	if mode == limits.AWS {
		return wait // nothing is refused, so nothing is counted
	}
	if !within {
		t.exceeded(mode, PushBytes, r.Account, r.Name, 1)
	}
	return 0
}

// CallRate is how often an operation that manages streams may be called.
type CallRate struct {
	PerSecond int64
	// PerStream counts the calls of each stream by themselves, instead of an
	// account's in a region.
	PerStream bool
}

// AdmitCall draws a call of op on its rate. stream is the name of the one that is
// meant, "" for none. Errors: LimitExceeded.
func (s *Service) AdmitCall(scope catalog.Scope, stream, op string, rate CallRate) error {
	var r *catalog.Resource
	text := "Rate exceeded for account " + scope.Account + "."
	if stream != "" {
		r = s.catalog.Get(streamKey(scope, stream))
		text = "Rate exceeded for stream " + stream + " under account " + scope.Account + "."
	}
	mode := s.Limits(r)
	if !mode.On() {
		return nil
	}
	key := callKey{scope: scope, op: op}
	if rate.PerStream {
		key.name = stream
	}
	if s.throttle.call(key, limits.Rate{PerSecond: rate.PerSecond, Burst: rate.PerSecond}) ||
		!s.throttle.exceeded(mode, ManageCalls, scope.Account, stream, 1) {
		return nil
	}
	return errs.New(errs.LimitExceeded, text)
}

func rateExceeded(r *catalog.Resource, shard ids.Shard) error {
	return errs.New(errs.Throttled, rateText(r, shard))
}

func rateText(r *catalog.Resource, shard ids.Shard) string {
	return "Rate exceeded for shard " + shard.String() + " in stream " + r.Name + " under account " + r.Account + "."
}
