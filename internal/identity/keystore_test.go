package identity

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"testing"

	"thalweg/internal/errs"
	"thalweg/internal/vfs"
)

// TestXAESVectors checks the examples of https://c2sp.org/XAES-256-GCM.
func TestXAESVectors(t *testing.T) {
	for _, v := range []struct {
		key        byte
		additional string
		want       string
	}{
		{0x01, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{0x03, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	} {
		a, err := newXAES(bytes.Repeat([]byte{v.key}, 32))
		if err != nil {
			t.Fatal(err)
		}
		nonce := []byte("ABCDEFGHIJKLMNOPQRSTUVWX")
		got := a.Seal(nil, nonce, []byte("XAES-256-GCM"), []byte(v.additional))
		if hex.EncodeToString(got) != v.want {
			t.Errorf("key %#x: %x, want %s", v.key, got, v.want)
		}
		back, err := a.Open(nil, nonce, got, []byte(v.additional))
		if err != nil || string(back) != "XAES-256-GCM" {
			t.Errorf("open: %q %v", back, err)
		}
		for i := range got {
			got[i] ^= 1
			if _, err := a.Open(nil, nonce, got, []byte(v.additional)); err == nil {
				t.Errorf("opened with byte %d changed", i)
			}
			got[i] ^= 1
		}
		if _, err := a.Open(nil, nonce[1:], got, nil); err == nil {
			t.Error("opened with a short nonce")
		}
	}
}

// TestXAESShared seals and opens under more nonces than are kept at hand, from
// several goroutines: each gets the key that its nonce selects.
func TestXAESShared(t *testing.T) {
	shared, err := NewKeystore().AEAD("shared")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 400 {
				nonce := make([]byte, 24)
				nonce[0], nonce[1], nonce[23] = byte(i%11), byte(i%3), byte(g)
				text := fmt.Sprint(g, i)
				sealed := shared.Seal(nil, nonce, []byte(text), nil)
				fresh := &xaes{block: shared.(*xaes).block, k1: shared.(*xaes).k1}
				back, err := fresh.Open(nil, nonce, sealed, nil)
				if err != nil || string(back) != text {
					t.Errorf("nonce %x: %q, %v", nonce, back, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestKeystore(t *testing.T) {
	m := vfs.NewMem(1)
	if err := m.MkdirAll("data", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := m.SyncDir("."); err != nil {
		t.Logf("sync of the root: %v", err)
	}
	first, err := OpenKeystore(m, "data")
	if err != nil {
		t.Fatal(err)
	}
	again, err := OpenKeystore(m, "data")
	if err != nil {
		t.Fatal(err)
	}
	nonce := make([]byte, 24)
	seal := func(k *Keystore, purpose string) string {
		a, err := k.AEAD(purpose)
		if err != nil {
			t.Fatal(err)
		}
		return string(a.Seal(nil, nonce, []byte("x"), nil))
	}
	if seal(first, "a") != seal(again, "a") {
		t.Error("a reopened keystore has another key")
	}
	if seal(first, "a") == seal(first, "b") || seal(first, "a") == seal(NewKeystore(), "a") {
		t.Error("two purposes, or two keystores, share a key")
	}
	one, err := first.Cipher(1)
	if err != nil {
		t.Fatal(err)
	}
	sealed := one.Seal(nil, nonce, []byte("x"), nil)
	for key, k := range map[uint32]*Keystore{1: again, 2: first, 11: first, 1 << 31: first} {
		c, err := k.Cipher(key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Open(nil, nonce, sealed, nil); (err == nil) != (key == 1) {
			t.Errorf("key %d opens what key 1 sealed: %v", key, err)
		}
	}
	if _, err := ReadKeystore(m, "data"); err != nil {
		t.Error(err)
	}
	if _, err := ReadKeystore(m, "nowhere"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a keystore that is not there: %v", err)
	}
	if _, err := first.AEAD(""); err == nil {
		t.Error("a key without a purpose")
	}
	if s := fmt.Sprintf("%v %+v %#v %s", first, first, first, first); strings.Contains(s, hex.EncodeToString(first.root)) ||
		strings.Contains(s, fmt.Sprint(first.root)) {
		t.Errorf("printed %s", s)
	}
}

// TestKeystoreDamage flips every byte: each is reported, and nothing replaced.
func TestKeystoreDamage(t *testing.T) {
	good := NewKeystore().encode()
	for i := range good {
		m := vfs.NewEphemeral()
		bad := bytes.Clone(good)
		bad[i] ^= 1
		write(t, m, bad)
		_, err := OpenKeystore(m, ".")
		if errs.KindOf(err) != errs.Corrupt {
			t.Fatalf("byte %d: %v", i, err)
		}
		if got, err := vfs.ReadFile(m, "./keystore", 4096); err != nil || !bytes.Equal(got, bad) {
			t.Fatalf("byte %d: the damaged file was changed", i)
		}
	}
	for n := range good {
		m := vfs.NewEphemeral()
		write(t, m, good[:n])
		if _, err := OpenKeystore(m, "."); errs.KindOf(err) != errs.Corrupt {
			t.Fatalf("cut to %d: %v", n, err)
		}
	}
}

func write(t *testing.T, m vfs.FS, data []byte) {
	t.Helper()
	if err := vfs.WriteFile(m, ".", "keystore", data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestKeystoreMode checks the real file's permissions, also when a crash left a
// temporary file that anybody may read.
func TestKeystoreMode(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/keystore.tmp", []byte("left over"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKeystore(vfs.OS{}, dir); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(dir + "/keystore")
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	if _, err := os.Stat(dir + "/keystore.tmp"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("temporary file: %v", err)
	}
}

func FuzzParseKeystore(f *testing.F) {
	f.Add(string(NewKeystore().encode()))
	f.Add(keystoreMagic)
	f.Fuzz(func(t *testing.T, s string) {
		if k, ok := parseKeystore(s); ok && string(k.encode()) != s {
			t.Errorf("%q read, %q written", s, k.encode())
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	a, err := NewKeystore().AEAD("bench")
	if err != nil {
		b.Fatal(err)
	}
	nonce, plain := make([]byte, a.NonceSize()), make([]byte, 100)
	out := make([]byte, 0, 200)
	b.ReportAllocs()
	for b.Loop() {
		a.Seal(out, nonce, plain, nil)
	}
}
