package crash

import (
	"errors"
	"fmt"
	"testing"

	"thalweg/internal/log"
	"thalweg/internal/vfs"
)

var errIO = errors.New("input/output error")

// faultRun is a script during which one call fails.
type faultRun struct {
	m      *machine
	at     int                // number of the call, from when the script is under way
	fault  func(vfs.Op) error // what it returns
	wants  func(vfs.Op) bool  // whether it may be this call; else the next one
	struck string             // the site, once it has failed
	opens  int                // how often the log had been opened then
	fs     *vfs.Mem
}

func newFaultRun(seed uint64, at int, wants func(vfs.Op) bool, fault func(vfs.Op) error) *faultRun {
	f := &faultRun{at: at, wants: wants, fault: fault, fs: vfs.NewMem(seed)}
	f.m = newMachine(f.fs, seed, epoch, log.Durable)
	f.m.onCall = func(op vfs.Op) error {
		if f.struck != "" || op.N < f.at || !f.wants(op) {
			return nil
		}
		f.struck, f.opens, f.m.faulty = site(op), f.m.opens, true
		f.m.note("fault at %s", f.struck)
		return f.fault(op)
	}
	return f
}

// script runs until the fault has struck and, unless halt, on.
func (f *faultRun) script(halt bool) {
	f.m.open()
	if f.m.log == nil || f.m.failed != nil {
		return
	}
	f.m.start()
	for range 80 {
		if halt && f.struck != "" {
			return
		}
		f.m.run(1)
	}
}

// reopen stops the machine as how says and compares what is found.
func (f *faultRun) reopen(seed uint64, kill bool) error {
	m := f.m
	if m.failed != nil {
		return m.failed
	}
	if kill {
		m.fs = m.fs.Kill()
	} else {
		m.fs = m.fs.Crash(seed)
	}
	m.giveSpace()
	m.onCall, m.log, m.faulty = nil, nil, false
	m.open()
	if m.failed == nil {
		m.run(10)
	}
	return m.failed
}

// faults tries a fault at many calls and counts where it struck.
func faults(t *testing.T, wants func(vfs.Op) bool, fault func(seed uint64) func(vfs.Op) error, check func(f *faultRun) error) {
	struck := map[string]int{}
	n := *flagPoints / 20
	for i := range n {
		seed := *flagSeed*1000 + uint64(i)
		f := newFaultRun(seed, 1+(i*37)%400, wants, fault(seed))
		f.script(i%3 == 0)
		err := f.m.failed
		if err == nil && f.struck != "" && f.opens == f.m.opens {
			err = check(f)
		}
		if err == nil {
			err = f.reopen(seed, seed%3 == 0)
		}
		if err == nil {
			err = f.reopen(seed+1, false)
		}
		if err != nil {
			for _, line := range f.m.trace[max(0, len(f.m.trace)-30):] {
				t.Log(line)
			}
			t.Fatalf("seed %d, fault at call %d (%s): %v", seed, f.at, f.struck, err)
		}
		struck[f.struck]++
	}
	t.Logf("%d faults, nothing acknowledged lost; struck at: %v", n, struck)
	if len(struck) < 3 {
		t.Errorf("faults struck at %v only", struck)
	}
}

// partOf is how much of a failed write is done: often all of it, or none.
func partOf(seed uint64, n int) int {
	switch seed % 4 {
	case 0:
		return n
	case 1:
		return 0
	}
	return int(seed*7) % (n + 1)
}

// TestFailedSync makes one sync fail, and every later one succeed, as a kernel
// does that has dropped the pages it could not write.
func TestFailedSync(t *testing.T) {
	faults(t,
		func(op vfs.Op) bool {
			return op.Kind == vfs.OpSync || op.Kind == vfs.OpSyncData || op.Kind == vfs.OpSyncDir
		},
		func(uint64) func(vfs.Op) error { return func(vfs.Op) error { return errIO } },
		latched)
}

// TestFailedWrite makes one write fail, with part of it done.
func TestFailedWrite(t *testing.T) {
	faults(t,
		func(op vfs.Op) bool { return op.Kind == vfs.OpWrite },
		func(seed uint64) func(vfs.Op) error {
			return func(op vfs.Op) error { return &vfs.TornWrite{Kept: partOf(seed, op.Len), Err: errIO} }
		},
		latched)
}

// latched expects that a log which met a failed write or sync takes nothing more,
// says why, and goes on serving reads.
func latched(f *faultRun) error {
	m := f.m
	if m.log == nil {
		return nil
	}
	st := m.log.State()
	if st.Writable || st.Reason == "" {
		return fmt.Errorf("state after a failed call: %+v", st)
	}
	for _, id := range append(m.ids(), meta) {
		if p := m.model.parts[id]; p != nil {
			m.append(log.Request{Entries: []log.Entry{m.small(id)}})
			found, err := observePart(m.log, id)
			if err != nil {
				return fmt.Errorf("read of a latched log: %w", err)
			}
			if err := p.matches(found, m.now()); err != nil {
				return fmt.Errorf("latched log, partition %v: %w", id, err)
			}
		}
	}
	return m.failed
}

// TestSpaceRunsOutAtAnyCall lets one call find no space, in part done, and goes
// on: nothing is lost, and writing resumes without a restart.
func TestSpaceRunsOutAtAnyCall(t *testing.T) {
	faults(t,
		func(op vfs.Op) bool {
			return op.Kind == vfs.OpWrite || op.Kind == vfs.OpCreate || op.Kind == vfs.OpRename || op.Kind == vfs.OpMkdir
		},
		func(seed uint64) func(vfs.Op) error {
			return func(op vfs.Op) error {
				if op.Kind == vfs.OpWrite {
					return &vfs.TornWrite{Kept: partOf(seed, op.Len), Err: vfs.ErrNoSpace}
				}
				return vfs.ErrNoSpace
			}
		},
		func(f *faultRun) error {
			m := f.m
			if m.log == nil {
				return nil
			}
			if m.opts.MaxDisk > 0 {
				return nil // may be reached for good
			}
			m.giveSpace()
			if st := m.log.State(); !st.Writable {
				return fmt.Errorf("state after space ran out once: %+v", st)
			}
			for range 3 {
				m.stepMaintain()
				before := m.ops["refused for space"]
				m.append(log.Request{Atomic: true, Entries: []log.Entry{m.event()}})
				if m.failed != nil || m.ops["refused for space"] == before {
					return m.failed
				}
			}
			return errors.New("space is back, and appends are refused still")
		})
}
