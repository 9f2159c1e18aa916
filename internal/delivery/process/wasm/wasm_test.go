package wasm

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"strings"
	"sync"
	"testing"

	"thalweg/internal/errs"
)

//go:embed testdata/modes.wasm
var modes []byte

func compile(t testing.TB, code []byte) *Module {
	t.Helper()
	m, err := Compile(t.Context(), code)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return m
}

func TestInvoke(t *testing.T) {
	m := compile(t, modes)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			event := append([]byte("e"), bytes.Repeat([]byte{byte('0' + i)}, 100)...)
			if got, err := m.Invoke(t.Context(), event, 1<<20); err != nil || !bytes.Equal(got, event) {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	all.Wait()
}

// Nothing of the world is in a module's reach, so that it answers the same again.
func TestApart(t *testing.T) {
	m := compile(t, modes)
	first, err := m.Invoke(t.Context(), []byte("t"), 64)
	if err != nil || len(first) != 16 {
		t.Fatalf("%x, %v", first, err)
	}
	if again, err := m.Invoke(t.Context(), []byte("t"), 64); err != nil || !bytes.Equal(again, first) {
		t.Errorf("time and random numbers are %x, then %x, %v", first, again, err)
	}
	if _, err := m.Invoke(t.Context(), []byte("f"), 64); err == nil || !strings.Contains(err.Error(), "ended with 8") { // EBADF: there is no directory
		t.Errorf("a file: %v", err)
	}
}

func TestBounds(t *testing.T) {
	m := compile(t, modes)
	for _, c := range []struct{ mode, says string }{
		{"m", "the module failed"}, {"x", "ended with 3: no such thing"},
	} {
		if _, err := m.Invoke(t.Context(), []byte(c.mode), 64); errs.KindOf(err) != errs.Invalid || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.mode, err)
		}
	}
	if _, err := m.Invoke(t.Context(), []byte("b"), 1<<20); !errors.Is(err, ErrTooLarge) {
		t.Errorf("an answer without end: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := m.Invoke(ctx, []byte("l"), 64)
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("a loop without end: %v", err)
	}
	if got, err := m.Invoke(t.Context(), []byte("e"), 64); err != nil || string(got) != "e" {
		t.Errorf("afterwards: %q, %v", got, err)
	}
}

func TestNoProgram(t *testing.T) {
	for name, code := range map[string][]byte{
		"empty": nil, "text": []byte("(module)"), "no _start": {0, 'a', 's', 'm', 1, 0, 0, 0}, "cut": modes[:len(modes)/2],
	} {
		if m, err := Compile(t.Context(), code); errs.KindOf(err) != errs.Invalid {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
}
