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
const FormatVersion = 3

// headVersion stands in the header of every file: that of the headers' layout.
const headVersion = 1

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

func newFormat(id [16]byte, created time.Time) formatFile {
	return formatFile{
		Format: formatName, Version: FormatVersion,
		History: hex.EncodeToString(id[:]), Created: created.UTC().Format(time.RFC3339),
	}.summed()
}

// summed returns f with its checksum.
func (f formatFile) summed() formatFile {
	f.CRC = f.sum()
	return f
}

// history is what f names; f has been checked.
func (f formatFile) history() history {
	var id [16]byte
	_, _ = hex.Decode(id[:], []byte(f.History))
	return newHistory(id)
}

func (f formatFile) encode() []byte {
	b, err := json.Marshal(f)
	if err != nil { // strings and an int always marshal
		return nil
	}
	return append(b, '\n')
}

func decodeFormat(b []byte) (formatFile, error) {
	var f formatFile
	if err := json.Unmarshal(b, &f); err != nil || f.Format != formatName {
		return f, corrupt("read FORMAT", "file is not a thalweg-log format file", err)
	}
	if f.Version > FormatVersion {
		return f, &errs.Error{
			Kind: errs.Unsupported, Op: "open data directory",
			Msg:  fmt.Sprintf("directory has format version %d, this program knows up to %d", f.Version, FormatVersion),
			Hint: "use the version of thalweg that wrote it, or a newer one",
		}
	}
	id, err := hex.DecodeString(f.History)
	// JSON reads the same from other bytes too; only those written count.
	if err != nil || len(id) != 16 || f.Version < 1 || f.CRC != f.sum() || !bytes.Equal(b, f.encode()) {
		return f, corrupt("read FORMAT", "checksum does not match", err)
	}
	return f, nil
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

// readFormat returns what the directory's FORMAT says, or fs.ErrNotExist when it
// is empty or absent.
func readFormat(fsys vfs.FS, l layout) (f formatFile, err error) {
	b, err := vfs.ReadFile(fsys, l.format(), 1<<16)
	if errors.Is(err, fs.ErrNotExist) {
		for _, sub := range []string{l.wal(), l.seg()} {
			names, derr := fsys.ReadDir(sub)
			if derr != nil && !errors.Is(derr, fs.ErrNotExist) {
				return f, errs.Wrap(errs.Internal, "open data directory", derr)
			}
			if len(names) > 0 {
				return f, corrupt("open data directory", "FORMAT is missing, but there is data in "+sub, nil)
			}
		}
		return f, err
	}
	if err != nil {
		return f, errs.Wrap(errs.Internal, "read FORMAT", err)
	}
	return decodeFormat(b)
}

// makeFormat makes the directories and FORMAT. It may be repeated after a crash.
func makeFormat(o Options, l layout) (f formatFile, err error) {
	var id [16]byte
	if _, err := io.ReadFull(o.Entropy, id[:]); err != nil {
		return f, errs.Wrap(errs.Internal, "make data directory", err)
	}
	f = newFormat(id, o.Clock.Now())
	if err = makeDirs(o.FS, l); err == nil {
		err = writeFormat(o.FS, l, f)
	}
	if err != nil {
		return f, errs.Wrap(kindOf(err), "make data directory", err)
	}
	return f, nil
}

func writeFormat(fsys vfs.FS, l layout, f formatFile) error {
	return vfs.WriteFile(fsys, l.dir, path.Base(l.format()), f.encode(), 0o644)
}

// upgrade gives the directory the present version, which takes no more than saying
// so: version 2 added sealed frames, 3 compaction, and an older program would take
// them for damage.
func upgrade(fsys vfs.FS, l layout, f formatFile) error {
	if f.Version == FormatVersion {
		return nil
	}
	f.Version = FormatVersion
	return writeFormat(fsys, l, f.summed())
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
