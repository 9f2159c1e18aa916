package batch

import (
	"thalweg/internal/errs"
)

// ErrChecksum is a batch that does not match its checksum.
var ErrChecksum error = errs.New(errs.Invalid, "record batch fails its checksum")

// Validate checks one whole batch, inner records and all, as Apache Kafka's
// LogValidator and DefaultRecordBatch check a produced one, so that no stored
// batch can later stop a reader. d unpacks compressed records within its limit.
//
// Checked: magic and length (nothing may follow the batch), checksum, a known
// compression, record count equal to the offset range, offsets from 0 without
// gaps, every length, header keys that are not null, no control batch and no delete
// horizon (clients write none), producer fields that agree with each other.
// Errors: ErrMalformed, [ErrTooLarge], or an Invalid error that names the rule.
func Validate(b []byte, d *Decompressor) error {
	h, err := ParseHeader(b)
	if err != nil {
		return err
	}
	switch {
	case h.Size() != len(b):
		return ErrMalformed
	case !CheckCRC(b, h):
		return ErrChecksum
	case h.Attributes&Control != 0:
		return errs.New(errs.Invalid, "clients may not write control records")
	case h.Attributes&DeleteHorizon != 0:
		return errs.New(errs.Invalid, "clients may not say until when tombstones stay")
	case h.Count <= 0:
		return errs.New(errs.Invalid, "record batch holds no records")
	case h.LastOffsetDelta != h.Count-1:
		return errs.New(errs.Invalid, "record count does not match the batch's offset range")
	case h.ProducerID >= 0 && (h.ProducerEpoch < 0 || h.BaseSequence < 0):
		return errs.New(errs.Invalid, "record batch names a producer without epoch or sequence")
	case h.ProducerID < 0 && h.Attributes&Transactional != 0:
		return errs.New(errs.Invalid, "transactional record batch names no producer")
	}
	if h.Attributes&CompressionMask != 0 {
		if b, err = d.Decompress(b); err != nil {
			return err
		}
	}
	it, err := Records(b)
	if err != nil {
		return err
	}
	next := h.BaseOffset
	for it.Next() {
		if it.rec.Offset != next {
			return errs.New(errs.Invalid, "record offsets of the batch are not consecutive")
		}
		next++
	}
	return it.Err()
}
