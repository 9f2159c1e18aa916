package disk

import (
	"fmt"
	"time"

	"thalweg/internal/errs"
	"thalweg/internal/log"
)

// Damage is stored data that fails its check. Zero fields are not known.
type Damage struct {
	// File is the path, [From, To) the bytes.
	File     string
	From, To int64
	// FirstLSN to LastLSN were to be here (WAL).
	FirstLSN, LastLSN uint64
	// [FirstOffset, EndOffset) of Partition cannot be read.
	Partition              *log.PartitionID
	FirstOffset, EndOffset int64
	Reason                 string
}

func (d Damage) String() string {
	s := d.File
	if d.To > d.From {
		s += fmt.Sprintf(": bytes %d to %d", d.From, d.To-1)
	}
	if d.LastLSN > 0 {
		s += fmt.Sprintf(", LSN %d to %d", d.FirstLSN, d.LastLSN)
	}
	if d.Partition != nil {
		s += fmt.Sprintf(", partition %v offsets %d to %d", *d.Partition, d.FirstOffset, d.EndOffset-1)
	}
	return s + ": " + d.Reason
}

// damageError is a Corrupt error that names its place.
type damageError struct {
	Damage
	err error
}

func (e *damageError) Error() string { return e.err.Error() }
func (e *damageError) Unwrap() error { return e.err }

func (d Damage) err() error {
	hint := "restore a backup"
	if d.EndOffset > d.FirstOffset {
		hint = fmt.Sprintf("read on from offset %d, or restore a backup", d.EndOffset)
	}
	return &damageError{d, &errs.Error{Kind: errs.Corrupt, Op: "read log", Msg: d.String(), Hint: hint}}
}

func isCorrupt(err error) bool { return errs.KindOf(err) == errs.Corrupt }

// damaged reports damage that a reader or maintenance came upon.
func (l *Log) damaged(d Damage) {
	l.stats.damage.Add(1)
	l.o.Logger.Error("stored data is damaged", "where", d.String())
	if l.o.Events.Damaged != nil {
		l.o.Events.Damaged(d)
	}
}

// Cut is a torn end that was never acknowledged as durable and was dropped.
type Cut struct {
	File     string
	From, To int64  // bytes
	FirstLSN uint64 // that was to be here; 0 in the manifest
	// Rounds after the torn one that were whole, but never synced. Only with
	// appends acknowledged before the sync.
	Rounds int
}

func (c Cut) String() string {
	return fmt.Sprintf("%s: torn end cut, bytes %d to %d, from LSN %d", c.File, c.From, c.To-1, c.FirstLSN)
}

// RecoveryReport tells what an open found.
type RecoveryReport struct {
	// Clean tells that the log was closed in order before.
	Clean       bool
	Incarnation uint32
	LeaderEpoch int32
	// Checkpoint is the LSN of the manifest's state, Last the highest found.
	Checkpoint, Last uint64
	// What was read of the WAL, and applied.
	Files, Rounds, Frames int
	Bytes                 int64
	Cuts                  []Cut
	Damage                []Damage
	Took                  time.Duration
}
