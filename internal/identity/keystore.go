package identity

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strconv"
	"strings"

	"thalweg/internal/errs"
	"thalweg/internal/vfs"
)

// Keystore holds a data directory's root key. Every use derives a key of its own
// from it. It is safe for concurrent use.
type Keystore struct{ root []byte }

const (
	keystoreFile  = "keystore"
	keystoreMagic = "thalweg-keystore 1 "
	rootBytes     = 32
)

// OpenKeystore reads the root key from dir/keystore, or makes one and stores it
// there, readable by its owner only. The file is one line of text: a name and
// version, the key (64 hexadecimal digits), and the first 16 hexadecimal digits
// of the key's SHA-256. A file that does not check is never replaced.
func OpenKeystore(fsys vfs.FS, dir string) (*Keystore, error) {
	k, err := ReadKeystore(fsys, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return createKeystore(fsys, dir)
	}
	return k, err
}

// ReadKeystore is OpenKeystore where there must be one: fs.ErrNotExist otherwise.
func ReadKeystore(fsys vfs.FS, dir string) (*Keystore, error) {
	const op = "open keystore"
	data, err := vfs.ReadFile(fsys, dir+"/"+keystoreFile, 4096)
	if err != nil {
		return nil, errs.Wrap(errs.KindOf(err), op, err)
	}
	k, ok := parseKeystore(string(data))
	if !ok {
		return nil, &errs.Error{Kind: errs.Corrupt, Op: op, Msg: dir + "/" + keystoreFile + " is damaged",
			Hint: "restore it from a backup: without it no access key and nothing encrypted can be read"}
	}
	return k, nil
}

// NewKeystore returns a keystore that lives in memory only.
func NewKeystore() *Keystore {
	k := &Keystore{root: make([]byte, rootBytes)}
	_, _ = rand.Read(k.root) // never fails
	return k
}

func createKeystore(fsys vfs.FS, dir string) (*Keystore, error) {
	k := NewKeystore()
	// A temporary file left by a crash would lend the new one its permissions.
	err := fsys.Remove(dir + "/" + keystoreFile + ".tmp")
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = vfs.WriteFile(fsys, dir, keystoreFile, k.encode(), 0o600)
	}
	if err != nil {
		return nil, errs.Wrap(errs.KindOf(err), "create keystore", err)
	}
	return k, nil
}

func (k *Keystore) encode() []byte {
	sum := sha256.Sum256(k.root)
	return fmt.Appendf(nil, "%s%x %x\n", keystoreMagic, k.root, sum[:8])
}

func parseKeystore(s string) (*Keystore, bool) {
	s, ok := strings.CutPrefix(s, keystoreMagic)
	if !ok {
		return nil, false
	}
	key, _, _ := strings.Cut(s, " ")
	root, err := hex.DecodeString(key)
	k := &Keystore{root: root}
	if err != nil || len(root) != rootBytes || string(k.encode()) != keystoreMagic+s {
		return nil, false
	}
	return k, true
}

// AEAD returns the cipher for one purpose, such as "access-keys". Different
// purposes have independent keys; the same purpose has the same key for as long
// as the keystore file lives. It is XAES-256-GCM: nonces are 24 bytes and may be
// drawn at random for any number of messages.
func (k *Keystore) AEAD(purpose string) (cipher.AEAD, error) {
	if purpose == "" {
		return nil, errs.New(errs.Invalid, "a sealing key needs a purpose")
	}
	key, err := hkdf.Key(sha256.New, k.root, nil, "thalweg "+purpose, 32)
	if err != nil {
		return nil, errs.Wrap(errs.Internal, "derive key", err)
	}
	return newXAES(key)
}

// Cipher returns the cipher for the batches that the log seals with a key, which
// it knows by its number. Numbers have independent keys, and every number has
// one.
func (k *Keystore) Cipher(key uint32) (cipher.AEAD, error) {
	return k.AEAD("log key " + strconv.FormatUint(uint64(key), 10))
}

// Secret returns 32 bytes that are always the same for one purpose, such as
// "tokens", and independent of those for any other and of every [Keystore.AEAD]
// key.
func (k *Keystore) Secret(purpose string) (secret [32]byte) {
	mac := hmac.New(sha256.New, k.root)
	mac.Write([]byte("thalweg secret " + purpose))
	mac.Sum(secret[:0])
	return secret
}

// String returns a placeholder.
func (k *Keystore) String() string { return "[redacted]" }

// GoString returns a placeholder.
func (k *Keystore) GoString() string { return "[redacted]" }

// LogValue returns a placeholder.
func (k *Keystore) LogValue() slog.Value { return slog.StringValue("[redacted]") }
