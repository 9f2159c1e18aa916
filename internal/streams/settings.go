package streams

import (
	"context"
	"maps"
	"strings"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/errs"
)

// SetRetention sets how long records can be read. longer tells the direction
// that the caller asked for; the present value is right in both. Errors:
// NotFound, InUse, Invalid.
func (s *Service) SetRetention(ctx context.Context, scope catalog.Scope, name string, hours int, longer bool) error {
	defer s.rouse()
	return s.change(ctx, scope, name, func(tx *catalog.Tx, r *catalog.Resource) error {
		if err := refuseTopic(r, "IncrementalAlterConfigs"); err != nil {
			return err
		}
		old := r.Stream.RetentionHours
		switch {
		case hours < MinRetentionHours:
			return invalid("Minimum allowed retention period is %d hours. Requested retention period (%d hours) is too short.",
				MinRetentionHours, hours)
		case hours > MaxRetentionHours:
			return invalid("Maximum allowed retention period is %d hours. Requested retention period (%d hours) is too long.",
				MaxRetentionHours, hours)
		case longer && hours < old:
			return invalid("Requested retention period (%d hours) for stream %s can not be shorter than existing retention "+
				"period (%d hours). Use DecreaseRetentionPeriod API.", hours, name, old)
		case !longer && hours > old:
			return invalid("Requested retention period (%d hours) for stream %s can not be longer than existing retention "+
				"period (%d hours). Use IncreaseRetentionPeriod API.", hours, name, old)
		case hours == old:
			return nil
		}
		// What is out of sight stays so.
		r.Stream.TrimBefore = max(r.Stream.TrimBefore, clock.Millis(s.clock)-int64(old)*3600_000)
		r.Stream.RetentionHours = hours
		tx.Put(r)
		configure(tx, r.Stream)
		return nil
	})
}

// SetMaxRecord sets how much data a record may have, DefaultMaxRecordKiB to
// MaxRecordKiB, from the next put on. What is stored stays readable. Errors:
// NotFound, InUse, Invalid.
func (s *Service) SetMaxRecord(ctx context.Context, scope catalog.Scope, name string, kib int) error {
	if kib < DefaultMaxRecordKiB || kib > MaxRecordKiB {
		return invalid("MaxRecordSizeInKiB must be from %d to %d, not %d.", DefaultMaxRecordKiB, MaxRecordKiB, kib)
	}
	return s.change(ctx, scope, name, func(tx *catalog.Tx, r *catalog.Resource) error {
		if err := refuseTopic(r, "IncrementalAlterConfigs (max.message.bytes)"); err != nil {
			return err
		}
		if r.Stream.MaxRecordKiB != kib {
			r.Stream.MaxRecordKiB = kib
			tx.Put(r)
		}
		return nil
	})
}

// SetDistribution switches between AUTO and partition keys, from the next put
// on. Errors: NotFound, InUse; Invalid for AUTO on a provisioned stream.
func (s *Service) SetDistribution(ctx context.Context, scope catalog.Scope, name string, auto bool) error {
	return s.change(ctx, scope, name, func(tx *catalog.Tx, r *catalog.Resource) error {
		switch {
		case auto && r.Stream.Mode != catalog.OnDemand:
			return ErrAutoNeedsOnDemand
		case auto == r.Stream.AutoDistribution:
			return nil
		}
		r.Stream.AutoDistribution = auto
		r.Stream.Keyless = r.Stream.Keyless || !auto
		tx.Put(r)
		return nil
	})
}

// Tag adds tags to a stream or replaces their values. Errors: NotFound, InUse,
// Invalid.
func (s *Service) Tag(ctx context.Context, scope catalog.Scope, name string, tags map[string]string) error {
	if err := checkTags("add tags to", ownerStream(scope, name), tagTexts(tags)); err != nil {
		return err
	}
	if err := checkLimitsTag(tags); err != nil {
		return err
	}
	return s.change(ctx, scope, name, func(tx *catalog.Tx, r *catalog.Resource) error {
		if r.Tags == nil {
			r.Tags = make(map[string]string, len(tags))
		}
		maps.Copy(r.Tags, tags)
		if len(r.Tags) > MaxTags {
			return tooManyTags(ownerStream(scope, name))
		}
		tx.Put(r)
		return nil
	})
}

// Untag removes tags from a stream; those it has not are no error. Errors:
// NotFound, InUse, Invalid.
func (s *Service) Untag(ctx context.Context, scope catalog.Scope, name string, keys []string) error {
	if err := checkTags("remove tags from", ownerStream(scope, name), keys); err != nil {
		return err
	}
	return s.change(ctx, scope, name, func(tx *catalog.Tx, r *catalog.Resource) error {
		for _, k := range keys {
			delete(r.Tags, k)
		}
		tx.Put(r)
		return nil
	})
}

// tagTexts are the keys and values of tags.
func tagTexts(tags map[string]string) []string {
	texts := make([]string, 0, 2*len(tags))
	for k, v := range tags {
		texts = append(texts, k, v)
	}
	return texts
}

// ownerStream names a stream in messages about tags.
func ownerStream(scope catalog.Scope, name string) string {
	return "stream " + name + " under account " + scope.Account
}

func tooManyTags(owner string) error {
	kind, _, _ := strings.Cut(owner, " ")
	return invalid("Failed to add tags to %s because a given %s cannot have more than %d tags associated with it.", owner, kind, MaxTags)
}

// CheckTags refuses tags that AWS does not take for an owner, "channel NAME under account
// ID". Errors: Invalid.
func CheckTags(owner string, tags map[string]string) error {
	return checkTags("add tags to", owner, tagTexts(tags))
}

// checkTags refuses what AWS refuses in keys and values: first what its pattern
// does not know, then the percent sign, which it knows but does not take.
func checkTags(verb, owner string, texts []string) error {
	percent := false
	for _, text := range texts {
		if !legalTagText(text) {
			return errs.New(errs.Invalid, "Some tags contain invalid characters. Valid characters: "+
				"Unicode letters, digits, white space, _ . / = + - % @ :.")
		}
		percent = percent || strings.Contains(text, "%")
	}
	if percent {
		return invalid("Failed to %s %s because some tags contained illegal characters. "+
			"The allowed characters are Unicode letters, white-spaces, '_',',','/','=','+','-','@',':'.", verb, owner)
	}
	return nil
}

// legalTagText tells what AWS takes in a tag's key or value: ASCII letters and
// digits, some signs, and two ranges of Unicode.
func legalTagText(s string) bool {
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9', r >= 'A' && r <= 'Z', r >= 'a' && r <= 'z':
		case strings.ContainsRune("_./-=+ @%:", r):
		case r >= 0x00C0 && r <= 0x1FFF, r >= 0x2C00 && r <= 0xD7FF:
		default:
			return false
		}
	}
	return true
}
