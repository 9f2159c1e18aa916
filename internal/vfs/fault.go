package vfs

import "errors"

// OpKind says what a call does.
type OpKind uint8

// The calls of [FS] and [File]. Those from OpCreate on change what a crash may
// leave behind.
const (
	OpOpen OpKind = iota
	OpRead
	OpReadDir
	OpStat
	OpLock
	OpFree
	OpCreate // an OpenFile that makes the file
	OpWrite
	OpTruncate // a File.Truncate, or an OpenFile that empties the file
	OpSync
	OpSyncData
	OpSyncDir
	OpRename
	OpLink
	OpRemove
	OpMkdir
)

var opNames = [...]string{
	"open", "read", "readdir", "stat", "lock", "free", "create", "write", "truncate",
	"sync", "syncdata", "syncdir", "rename", "link", "remove", "mkdir",
}

func (k OpKind) String() string { return opNames[k] }

// Op is one call, as a fault rule sees it before it happens.
type Op struct {
	// N numbers the calls of kind OpCreate and after from 1, since [NewMem] and
	// through [Mem.Crash] and [Mem.Kill]; it is 0 for calls that change nothing.
	N    int
	Kind OpKind
	// Name is the cleaned path of the file as it was opened; for Rename and Link
	// the new name.
	Name string
	// Off and Len are the range of a Read or Write; Off is the size of a Truncate.
	Off int64
	Len int
}

// Rule decides about a call: nil lets it happen, an error is what the call
// returns instead of happening. A [TornWrite] lets part of a write happen.
// [ErrPowerCut] stops the machine. A rule may call back into the file system's
// own methods (Crash, SetCapacity, ...), not its FS methods.
//
// A sync of a file that fails decides at once what of the unsynced is durable;
// later syncs add only what is written after it. One of a directory that fails
// does nothing: file systems keep changed metadata until it is in the journal.
type Rule func(Op) error

// ErrPowerCut is what every call returns once a [Rule] has returned it.
var ErrPowerCut = errors.New("machine has stopped")

// TornWrite is a rule's way to fail a write after its first Kept bytes.
type TornWrite struct {
	Kept int
	Err  error
}

func (e *TornWrite) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *TornWrite) Unwrap() error { return e.Err }

// Inject sets the rule asked before every call from now on; nil is none.
func (m *Mem) Inject(rule Rule) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rule = rule
}

// SetCapacity limits what all files hold to about bytes; 0 is without limit.
// Writes beyond it stop short with [ErrNoSpace].
func (m *Mem) SetCapacity(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.capacity = bytes
}

// SetNoSync makes every sync from now on return nil and do nothing: a disk that
// lies.
func (m *Mem) SetNoSync(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.noSync = on
}

// Calls returns the number of the last call that changed something.
func (m *Mem) Calls() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls
}

// Used returns the bytes that all files hold, in whole chunks.
func (m *Mem) Used() int64 { return m.used.Load() * chunkSize }

// before numbers a call and asks the rule about it.
func (m *Mem) before(op Op) error {
	m.mu.Lock()
	if m.stopped {
		m.mu.Unlock()
		return ErrPowerCut
	}
	if op.Kind >= OpCreate {
		m.calls++
		op.N = m.calls
	}
	rule := m.rule
	m.mu.Unlock()
	if rule == nil {
		return nil
	}
	err := rule(op)
	if errors.Is(err, ErrPowerCut) {
		m.mu.Lock()
		m.stopped = true
		m.mu.Unlock()
	}
	return err
}
