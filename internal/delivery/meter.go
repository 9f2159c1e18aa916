package delivery

import (
	"sync/atomic"

	"thalweg/internal/catalog"
)

// Meter counts a delivery stream's traffic since the start.
type Meter struct {
	InRecords, InBytes, InPuts, Throttled    atomic.Int64
	OverLimit                                atomic.Int64 // let through where limits only warn
	ReadRecords, ReadBytes                   atomic.Int64 // of a source
	OutRecords, OutBytes, OutObjects         atomic.Int64
	BackupRecords, BackupBytes               atomic.Int64
	Succeeded, Failed                        atomic.Int64 // attempts to deliver
	Processed, ProcessedBytes, ProcessFailed atomic.Int64
	Lost                                     atomic.Int64
	// Freshness is the age of the oldest record of the last delivery, milliseconds.
	Freshness atomic.Int64
}

// Idle tells that nothing was put, read or tried since the start.
func (m *Meter) Idle() bool {
	return m.InPuts.Load()+m.Throttled.Load()+m.ReadRecords.Load()+m.Succeeded.Load()+m.Failed.Load() == 0
}

// Meter returns what counts r's traffic.
func (s *Service) Meter(r *catalog.Resource) *Meter { return &s.line(r).meter }
