package app

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"thalweg/internal/errs"
	"thalweg/internal/identity"
	"thalweg/internal/log/disk"
	"thalweg/internal/vfs"
)

// TestKeystoreOfTheData starts a server, and restores a backup, only with the
// keystore that the data was written with, and makes no other in its place.
func TestKeystoreOfTheData(t *testing.T) {
	c := testConfig(t)
	s := mustStart(t, c)
	const text = "what nobody may read"
	ask := func(s *Server, op, body, want string) {
		t.Helper()
		if status, got := call(t, s, op, body); status != 200 || !strings.Contains(got, want) {
			t.Fatalf("%s: %d %s", op, status, got)
		}
	}
	read := func(s *Server) {
		t.Helper()
		_, it := call(t, s, "GetShardIterator", `{"StreamName":"s","ShardId":"0","ShardIteratorType":"TRIM_HORIZON"}`)
		ask(s, "GetRecords", it, `"Data":"`+base64.StdEncoding.EncodeToString([]byte(text))+`","EncryptionType":"KMS"`)
	}
	ask(s, "CreateStream", `{"StreamName":"s","ShardCount":1}`, "")
	ask(s, "StartStreamEncryption", `{"StreamName":"s","EncryptionType":"KMS","KeyId":"alias/k"}`, "")
	ask(s, "PutRecord", `{"StreamName":"s","PartitionKey":"k","Data":"`+base64.StdEncoding.EncodeToString([]byte(text))+`"}`, `"EncryptionType":"KMS"`)
	read(s)
	backup := filepath.Join(t.TempDir(), "backup")
	if err := s.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	if hasText(t, c.Data, text) || hasText(t, backup, text) {
		t.Error("the record is in a file in the clear")
	}

	file := filepath.Join(c.Data, "keystore")
	right, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	if _, err := identity.OpenKeystore(vfs.OS{}, other); err != nil {
		t.Fatal(err)
	}
	wrong, err := os.ReadFile(filepath.Join(other, "keystore"))
	if err != nil {
		t.Fatal(err)
	}
	for what, bad := range map[string][]byte{"gone": nil, "another's": wrong, "damaged": right[1:]} {
		put(t, file, bad)
		s, err := Start(t.Context(), options(c))
		if err == nil {
			mustClose(t, s)
		}
		if errs.KindOf(err) != errs.Corrupt || !strings.Contains(err.Error(), "keystore") {
			t.Errorf("%s: start: %v", what, err)
		}
		left, err := os.ReadFile(file)
		if bad == nil && !errors.Is(err, os.ErrNotExist) || bad != nil && !bytes.Equal(left, bad) {
			t.Errorf("%s: the start left another keystore", what)
		}
		put(t, filepath.Join(backup, "keystore"), bad)
		if err := Restore(vfs.OS{}, backup, filepath.Join(t.TempDir(), "restored")); errs.KindOf(err) != errs.Corrupt {
			t.Errorf("%s: restore: %v", what, err)
		}
	}
	put(t, file, right)
	put(t, filepath.Join(backup, "keystore"), right)
	s = mustStart(t, c)
	read(s)
	mustClose(t, s)
	keys, err := identity.ReadKeystore(vfs.OS{}, c.Data)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := disk.Verify(vfs.OS{}, c.Data, keys); err != nil || !r.OK() || r.Encrypted != 1 || r.Decrypted != 1 {
		t.Errorf("verify: %+v, %v", r, err)
	}
	restored := c
	restored.Data = filepath.Join(t.TempDir(), "restored")
	if err := Restore(vfs.OS{}, backup, restored.Data); err != nil {
		t.Fatal(err)
	}
	s = mustStart(t, restored)
	read(s)
	mustClose(t, s)
}

// put writes a file, or removes it if there is nothing to write.
func put(t *testing.T, file string, b []byte) {
	t.Helper()
	err := os.Remove(file)
	if b != nil && (err == nil || errors.Is(err, os.ErrNotExist)) {
		err = os.WriteFile(file, b, 0o600)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
}

// hasText looks for text in every file below dir.
func hasText(t *testing.T, dir, text string) bool {
	t.Helper()
	found := false
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		found = found || bytes.Contains(b, []byte(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
