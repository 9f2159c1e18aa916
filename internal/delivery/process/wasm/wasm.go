// Package wasm runs functions that are WebAssembly modules, in the process and apart from
// everything in it.
//
// A module is a program of WASI preview 1, as Go (GOOS=wasip1), Rust (wasm32-wasip1),
// C and others compile to. Each invocation is a new run of it: the event is its standard
// input, the answer its standard output. It has no files, no network, no environment; its
// clock stands still and its random numbers are always the same, so that a function's
// answer follows from the event alone. It has 64 MiB of memory and a minute.
//
// A Module is safe for concurrent use.
package wasm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"

	"thalweg/internal/errs"
)

const (
	// MaxModule bounds a module's bytes.
	MaxModule = 64 << 20
	// maxPages bounds its memory, in pages of 64 KiB.
	maxPages = 1024
	// timeout is how long a run may take.
	timeout = time.Minute
	// maxSaid is how much of what it says on standard error is told.
	maxSaid = 1 << 10
)

// Errors of an invocation.
var (
	// ErrTimeout is a run that took longer than a minute.
	ErrTimeout error = errs.New(errs.Throttled, "the module did not end within a minute")
	// ErrTooLarge is an answer of more bytes than were asked for.
	ErrTooLarge error = errs.New(errs.Invalid, "the module's answer is too large")
)

// Module is a compiled module.
type Module struct {
	runtime wazero.Runtime
	code    wazero.CompiledModule
}

// Compile prepares a module. Errors: Invalid for bytes that are no module of WASI.
func Compile(ctx context.Context, code []byte) (*Module, error) {
	m := &Module{runtime: wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithMemoryLimitPages(maxPages).WithCloseOnContextDone(true))}
	_, err := wasi_snapshot_preview1.Instantiate(ctx, m.runtime)
	if err == nil {
		m.code, err = m.runtime.CompileModule(ctx, code)
	}
	if err == nil && m.code.ExportedFunctions()["_start"] == nil {
		err = errors.New("it is no program: nothing is exported as _start")
	}
	if err != nil {
		return nil, errors.Join(errs.Wrap(errs.Invalid, "compile the WebAssembly module", err), m.Close(ctx))
	}
	return m, nil
}

// Close frees the module; no invocation may be under way.
func (m *Module) Close(ctx context.Context) error { return m.runtime.Close(ctx) }

// Invoke runs the module on an event and returns its answer, of at most limit bytes.
// Errors: ErrTimeout, ErrTooLarge, those of ctx; Invalid for a run that failed, with what
// it said.
func (m *Module) Invoke(ctx context.Context, event []byte, limit int) ([]byte, error) {
	run, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answer, said := &bounded{limit: limit}, &bounded{limit: maxSaid, drop: true}
	instance, err := m.runtime.InstantiateModule(run, m.code,
		wazero.NewModuleConfig().WithName("").WithStdin(bytes.NewReader(event)).WithStdout(answer).WithStderr(said))
	if instance != nil {
		err = errors.Join(err, instance.Close(context.WithoutCancel(ctx)))
	}
	var exit *sys.ExitError
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case run.Err() != nil:
		return nil, ErrTimeout
	case answer.full:
		return nil, ErrTooLarge
	case errors.As(err, &exit) && exit.ExitCode() != 0:
		return nil, errs.New(errs.Invalid, fmt.Sprintf("the module ended with %d: %s", exit.ExitCode(), bytes.TrimSpace(said.Bytes())))
	case err != nil && exit == nil:
		return nil, errs.New(errs.Invalid, fmt.Sprintf("the module failed: %v", err))
	}
	return answer.Bytes(), nil
}

// bounded keeps what is written up to a limit. Beyond it a write fails, or with drop
// does nothing.
type bounded struct {
	bytes.Buffer
	limit int
	drop  bool
	full  bool
}

func (b *bounded) Write(p []byte) (int, error) {
	if room := b.limit - b.Len(); len(p) > room {
		b.full = true
		b.Buffer.Write(p[:room])
		if !b.drop {
			return room, io.ErrShortWrite
		}
		return len(p), nil
	}
	return b.Buffer.Write(p)
}
