package kafka

import (
	"strings"
	"time"

	"thalweg/internal/brokers"
	"thalweg/internal/limits"
)

const (
	// quotaWindow is for how long a client may go on at its quota all at once, after a
	// rest: quota.window.num less one, in windows of one second.
	quotaWindow = 10
	// maxQuotaBuckets bounds whose use of a quota is known; others begin anew.
	maxQuotaBuckets = 10_000
)

// quotaKey is who draws on a quota together.
type quotaKey struct {
	key    string
	entity brokers.QuotaEntity
}

// quotas hold clients to the rates that they are given.
type quotas struct {
	door    *Door
	buckets *limits.Table[quotaKey, limits.Bucket]
}

func newQuotas(d *Door) *quotas {
	return &quotas{d, limits.NewTable[quotaKey](maxQuotaBuckets, func(b *limits.Bucket, now int64) bool { return b.FullAt() <= now })}
}

// scaled is a rate in units that a bucket can count: thousandths for small rates,
// thousands and millions of what was counted for large ones.
func scaled(rate float64, n int64) (limits.Rate, int64) {
	switch {
	case rate < 1<<17:
		rate, n = rate*1000, n*1000
	default:
		for rate >= 1<<28 {
			rate, n = rate/1024, (n+1023)/1024
		}
	}
	r := max(int64(rate), 1)
	return limits.Rate{PerSecond: r, Burst: quotaWindow * r}, n
}

// spend counts n against a client's quota, if it has one, and returns for how long
// it must then pause.
func (q *quotas) spend(c *conn, key, clientID string, n int64) (pause time.Duration) {
	rate, shared, ok := q.door.opts.Security.Quota(key, strings.TrimPrefix(c.principal, "User:"), clientID)
	if !ok {
		return 0
	}
	return q.draw(quotaKey{key, shared}, rate, n)
}

func (q *quotas) draw(k quotaKey, rate float64, n int64) (pause time.Duration) {
	r, n := scaled(rate, n)
	now := q.door.opts.Clock.Now().UnixNano()
	q.buckets.Do(k, now, func(b *limits.Bucket) {
		b.Spend(r, now, n)
		pause = b.Owes(r, now)
	})
	return pause
}

// admit counts n against a client's quota if there is anything left of it, and
// returns for how long it must pause, and whether it was counted.
func (q *quotas) admit(c *conn, key, clientID string, n int64) (pause time.Duration, ok bool) {
	rate, shared, limited := q.door.opts.Security.Quota(key, strings.TrimPrefix(c.principal, "User:"), clientID)
	if !limited {
		return 0, true
	}
	r, n := scaled(rate, n)
	_, one := scaled(rate, 1)
	now := q.door.opts.Clock.Now().UnixNano()
	q.buckets.Do(quotaKey{key, shared}, now, func(b *limits.Bucket) {
		if ok = b.Has(r, now, one); ok {
			b.Spend(r, now, n)
		}
		pause = b.Owes(r, now)
		if !ok {
			pause = max(pause, time.Duration(float64(time.Second)/rate))
		}
	})
	return pause, ok
}

// mutate counts partitions that are to be made or removed. Clients of newer versions
// are refused what is beyond their quota; older ones pause after it.
func (r *request) mutate(partitions int32, strict bool) *brokers.Error {
	q, n := r.conn.door.quotas, int64(max(partitions, 0))
	if !strict {
		r.pause = max(r.pause, q.spend(r.conn, brokers.ControllerMutationRate, r.header.ClientID, n))
		return nil
	}
	pause, ok := q.admit(r.conn, brokers.ControllerMutationRate, r.header.ClientID, n)
	if r.pause = max(r.pause, pause); !ok {
		return refuse(brokers.QuotaExceeded, "The throttling quota has been exceeded.")
	}
	return nil
}

// millis is a pause as clients are told it, never too short.
func millis(d time.Duration) int32 {
	return int32(min((d + time.Millisecond - 1).Milliseconds(), 1<<31-1))
}

// mute lets the connection's next request wait, as its client was told.
func (c *conn) mute(d time.Duration) {
	if d > 0 {
		if until := c.door.opts.Clock.Now().Add(d); until.After(c.muted) {
			c.muted = until
		}
	}
}

// connected counts a connection against the quota of its address. One too many is
// to be closed after a pause, so that its client is held up.
func (q *quotas) connected(c *conn) (pause time.Duration) {
	ip := c.clientIP()
	rate, ok := q.door.opts.Security.AddressQuota(ip)
	if !ok {
		return 0
	}
	return q.draw(quotaKey{brokers.ConnectionCreationRate, brokers.QuotaEntity{IP: brokers.QuotaPart{Of: brokers.QuotaOfName, Name: ip}}}, rate, 1)
}
