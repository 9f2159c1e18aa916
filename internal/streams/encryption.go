package streams

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"

	"thalweg/internal/arn"
	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/log"
)

// EncryptionKey is a key as a caller names it.
type EncryptionKey struct {
	// Text is what the caller wrote: streams show it so.
	Text string
	// Name is the key's own among those of the stream's account and region.
	Name string
}

// StartEncryption has what is put to a stream from now on stored encrypted under a
// key, which is made if there is none of that name. What is there stays as it is.
// Under the key that it has a stream only takes over the text. Errors: NotFound,
// InUse, LimitExceeded, those of the log.
func (s *Service) StartEncryption(ctx context.Context, scope catalog.Scope, name string, key EncryptionKey) error {
	return s.change(ctx, scope, name, func(tx *catalog.Tx, r *catalog.Resource) error {
		k, err := s.KeyIn(tx, r.Scope, key.Name)
		if err != nil {
			return err
		}
		st := r.Stream
		if st.DataKey == k.DataKey.Number {
			if st.KeyID != key.Text {
				st.KeyID = key.Text
				tx.Put(r)
			}
			return nil
		}
		var ok bool
		if st.KeyStarts, ok = oneMore(st.KeyStarts, clock.Millis(s.clock)); !ok {
			return tooManyKeyChanges("applied a new encryption key to", r)
		}
		st.KeyID, st.DataKey = key.Text, k.DataKey.Number
		s.rekey(tx, r)
		return nil
	})
}

// StopEncryption has what is put to a stream from now on stored as it is. What is
// stored encrypted stays so, and is read as before. Errors: as StartEncryption's.
func (s *Service) StopEncryption(ctx context.Context, scope catalog.Scope, name string) error {
	return s.change(ctx, scope, name, func(tx *catalog.Tx, r *catalog.Resource) error {
		st := r.Stream
		if st.KeyID == "" {
			return nil
		}
		var ok bool
		if st.KeyStops, ok = oneMore(st.KeyStops, clock.Millis(s.clock)); !ok {
			return tooManyKeyChanges("disabled encryption of", r)
		}
		st.KeyID, st.DataKey = "", 0
		s.rekey(tx, r)
		return nil
	})
}

// rekey puts r, whose key is another now, and tells its partitions.
func (s *Service) rekey(tx *catalog.Tx, r *catalog.Resource) {
	if s.transition > 0 {
		r.State, r.Until = catalog.Updating, clock.Millis(s.clock)+s.transition.Milliseconds()
	}
	tx.Put(r)
	configure(tx, r.Stream)
}

// configure gives every partition of a stream the configuration that it asks for.
func configure(tx *catalog.Tx, st *catalog.Stream) {
	for i := range st.Shards {
		tx.Entry(log.Entry{Kind: log.Configure, Partition: st.PartitionOf(st.Shards[i].Number), Config: partitionConfig(st)})
	}
}

// oneMore adds now to the times of the last 24 hours, all in Unix milliseconds. ok
// is false when there are MaxKeyChanges of them.
func oneMore(times []int64, now int64) (recent []int64, ok bool) {
	recent = lastDay(times, now)
	return append(recent, now), len(recent) < MaxKeyChanges
}

func tooManyKeyChanges(did string, r *catalog.Resource) error {
	return errs.New(errs.LimitExceeded, fmt.Sprintf("Stream %s under account %s: you have already %s the stream %d times "+
		"in a rolling 24-hour period.", r.Name, r.Account, did, MaxKeyChanges))
}

// KeyIn returns the key of that name, which the update makes if there is none.
// Errors: LimitExceeded.
func (s *Service) KeyIn(tx *catalog.Tx, scope catalog.Scope, name string) (*catalog.Resource, error) {
	if k := tx.Get(catalog.Key{Kind: catalog.KindKey, Scope: scope, Name: name}); k != nil {
		return k, nil
	}
	k, err := s.newKey(scope, name)
	if err == nil {
		tx.Put(k)
	}
	return k, err
}

// newKey is a key of a number that was never used. Keys are never removed: records
// may be stored under them for as long as a retention lasts.
func (s *Service) newKey(scope catalog.Scope, name string) (*catalog.Resource, error) {
	keys := s.catalog.All(catalog.KindKey)
	if len(keys) >= MaxKeys {
		return nil, errs.New(errs.LimitExceeded, fmt.Sprintf("This server has %d encryption keys in all accounts and regions, "+
			"the most that it can have.", len(keys)))
	}
	last := uint32(0)
	for _, k := range keys {
		last = max(last, k.DataKey.Number)
	}
	return &catalog.Resource{
		Key:     catalog.Key{Kind: catalog.KindKey, Scope: scope, Name: name},
		ARN:     arn.New("kms", scope.Region, scope.Account, name).String(),
		Created: clock.Millis(s.clock), State: catalog.Active,
		DataKey: &catalog.DataKey{Number: last + 1, Check: s.keyCheck(last + 1)},
	}, nil
}

// keyCheck tells the keystore that a key was made with from any other.
func (s *Service) keyCheck(number uint32) string {
	sum := s.keys.Secret("check of log key " + strconv.FormatUint(uint64(number), 10))
	return hex.EncodeToString(sum[:8])
}

// checkKeys refuses a keystore that is not the one the encryption keys are of: with
// it nothing stored under them could be read, and what is put would be lost to the
// right one.
func (s *Service) checkKeys() error {
	for _, k := range s.catalog.All(catalog.KindKey) {
		if s.keyCheck(k.DataKey.Number) != k.DataKey.Check {
			return &errs.Error{Kind: errs.Corrupt, Op: "open encryption key " + k.ARN, Msg: "the keystore is not the one that it was made with",
				Hint: "restore the file keystore of the data directory from a backup"}
		}
	}
	return nil
}
