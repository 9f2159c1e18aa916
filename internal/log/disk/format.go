package disk

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"thalweg/internal/errs"
	"thalweg/internal/log/batch"
	"thalweg/internal/vfs"
)

// FormatVersion is the version of the data directory that this program writes,
// and the highest that it reads.
const FormatVersion = 1

const formatName = "thalweg-log"

// history names everything ever written to a directory. seed starts every
// checksum in it.
type history struct {
	id   [16]byte
	seed uint32
}

func newHistory(id [16]byte) history {
	return history{id: id, seed: crc32.Checksum(id[:], batch.Castagnoli)}
}

// sum is the directory's checksum of b.
func (h history) sum(b []byte) uint32 { return crc32.Update(h.seed, batch.Castagnoli, b) }

type formatFile struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	History string `json:"history"`
	Created string `json:"created"`
	CRC     string `json:"crc"`
}

func (f formatFile) sum() string {
	text := strings.Join([]string{f.Format, strconv.Itoa(f.Version), f.History, f.Created}, "\n")
	return fmt.Sprintf("%08x", crc32.Checksum([]byte(text), batch.Castagnoli))
}

func encodeFormat(h history, created time.Time) []byte {
	f := formatFile{
		Format: formatName, Version: FormatVersion,
		History: hex.EncodeToString(h.id[:]), Created: created.UTC().Format(time.RFC3339),
	}
	f.CRC = f.sum()
	return f.encode()
}

func (f formatFile) encode() []byte {
	b, err := json.Marshal(f)
	if err != nil { // strings and an int always marshal
		return nil
	}
	return append(b, '\n')
}

func decodeFormat(b []byte) (history, error) {
	var f formatFile
	if err := json.Unmarshal(b, &f); err != nil || f.Format != formatName {
		return history{}, corrupt("read FORMAT", "file is not a thalweg-log format file", err)
	}
	if f.Version > FormatVersion {
		return history{}, &errs.Error{
			Kind: errs.Unsupported, Op: "open data directory",
			Msg:  fmt.Sprintf("directory has format version %d, this program knows up to %d", f.Version, FormatVersion),
			Hint: "use the version of thalweg that wrote it, or a newer one",
		}
	}
	id, err := hex.DecodeString(f.History)
	// JSON reads the same from other bytes too; only those written count.
	if err != nil || len(id) != 16 || f.Version < 1 || f.CRC != f.sum() || !bytes.Equal(b, f.encode()) {
		return history{}, corrupt("read FORMAT", "checksum does not match", err)
	}
	return newHistory([16]byte(id)), nil
}

// corrupt is an error of kind Corrupt with the hint that fits all of them.
func corrupt(op, msg string, err error) error {
	return &errs.Error{Kind: errs.Corrupt, Op: op, Msg: msg, Err: err, Hint: "thalweg verify DIR names what is damaged; restore a backup to get it back"}
}

// layout is where things are in a data directory.
type layout struct{ dir string }

func (l layout) format() string   { return path.Join(l.dir, "FORMAT") }
func (l layout) lock() string     { return path.Join(l.dir, "LOCK") }
func (l layout) manifest() string { return path.Join(l.dir, manifestName) }
func (l layout) wal() string      { return path.Join(l.dir, "wal") }
func (l layout) seg() string      { return path.Join(l.dir, "seg") }

func (l layout) walFile(number uint64) string {
	return path.Join(l.dir, "wal", fmt.Sprintf("%016x.wal", number))
}

func (l layout) segFile(number uint64, kind uint32) string {
	return path.Join(l.dir, "seg", segName(number, kind))
}

func (l layout) index(number uint64) string {
	return path.Join(l.dir, "seg", fmt.Sprintf("%016x.idx", number))
}

// indexTmp is an index before it has its name.
func (l layout) indexTmp() string { return path.Join(l.dir, "seg", "idx.tmp") }

func segName(number uint64, kind uint32) string {
	if kind == kindPack {
		return fmt.Sprintf("%016x.pack", number)
	}
	return fmt.Sprintf("%016x.seg", number)
}

// parseName splits "%016x.ext".
func parseName(name string) (number uint64, ext string, ok bool) {
	base, ext, found := strings.Cut(name, ".")
	if !found || len(base) != 16 {
		return 0, "", false
	}
	number, err := strconv.ParseUint(base, 16, 64)
	return number, ext, err == nil
}

// readFormat returns the history of the directory, or fs.ErrNotExist when it is
// empty or absent.
func readFormat(fsys vfs.FS, l layout) (history, error) {
	b, err := vfs.ReadFile(fsys, l.format(), 1<<16)
	if errors.Is(err, fs.ErrNotExist) {
		for _, sub := range []string{l.wal(), l.seg()} {
			names, derr := fsys.ReadDir(sub)
			if derr != nil && !errors.Is(derr, fs.ErrNotExist) {
				return history{}, errs.Wrap(errs.Internal, "open data directory", derr)
			}
			if len(names) > 0 {
				return history{}, corrupt("open data directory", "FORMAT is missing, but there is data in "+sub, nil)
			}
		}
		return history{}, err
	}
	if err != nil {
		return history{}, errs.Wrap(errs.Internal, "read FORMAT", err)
	}
	return decodeFormat(b)
}

// makeFormat makes the directories and FORMAT. It may be repeated after a crash.
func makeFormat(o Options, l layout) (history, error) {
	var id [16]byte
	if _, err := io.ReadFull(o.Entropy, id[:]); err != nil {
		return history{}, errs.Wrap(errs.Internal, "make data directory", err)
	}
	h := newHistory(id)
	err := makeDirs(o.FS, l)
	if err == nil {
		err = vfs.WriteFile(o.FS, l.dir, "FORMAT", encodeFormat(h, o.Clock.Now()), 0o644)
	}
	if err != nil {
		return history{}, errs.Wrap(kindOf(err), "make data directory", err)
	}
	return h, nil
}

// makeDirs makes the directories of l, durably.
func makeDirs(fsys vfs.FS, l layout) error {
	for _, d := range []string{l.dir, l.wal(), l.seg()} {
		if err := fsys.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	if parent := path.Dir(l.dir); parent != l.dir {
		if err := fsys.SyncDir(parent); err != nil {
			return err
		}
	}
	return fsys.SyncDir(l.dir)
}

// kindOf is the kind that a file system's error gets.
func kindOf(err error) errs.Kind {
	if errors.Is(err, vfs.ErrNoSpace) {
		return errs.NoSpace
	}
	return errs.KindOf(err)
}
