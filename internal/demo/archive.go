package demo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"thalweg/internal/client"
	"thalweg/internal/clock"
	"thalweg/internal/vfs"
)

// archive is the second application: it writes every record of the stream to
// files in a folder, byte for byte, one record a line.
//
// A file is named SHARD-FIRST-LAST.ndjson after the sequence numbers it holds
// and appears whole, by rename, after it was synced. So the folder itself says
// where to go on: behind the last file of each shard. There is no second place
// that could disagree with it.
type archive struct {
	fs    vfs.FS
	dir   string
	clock clock.Clock
	run   string

	latency hist
	lag     lagMeter

	mu      sync.Mutex
	buffers map[string]*buffer // by shard; each used by its reader only
	seen    int64              // records read and not necessarily written yet
	files   []string
	bytes   int64
}

const (
	archiveFileBytes = 1 << 20
	archiveFileAge   = 2 * time.Second
)

// buffer is a shard's next file.
type buffer struct {
	data        bytes.Buffer
	first, last string
	since       time.Time
}

// newArchive opens the folder, making it when missing, and removes what an
// interrupted writer left.
func newArchive(fsys vfs.FS, dir, run string, clk clock.Clock) (*archive, error) {
	if err := fsys.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	names, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		if strings.HasSuffix(n, ".ndjson.tmp") {
			if err := fsys.Remove(dir + "/" + n); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
	}
	return &archive{fs: fsys, dir: dir, run: run, clock: clk, buffers: map[string]*buffer{}}, nil
}

// start returns where to go on in a shard: behind its newest file, else at the
// shard's beginning. It is called for every shard before it is read.
func (a *archive) start(shard string, _ bool) (client.Start, error) {
	a.lag.expect(shard)
	a.mu.Lock()
	a.buffers[shard] = &buffer{}
	a.mu.Unlock()
	names, err := a.fs.ReadDir(a.dir)
	if err != nil {
		return client.Start{}, err
	}
	newest := ""
	for _, n := range names {
		if s, last, ok := parseFileName(n); ok && s == shard && last > newest {
			newest = last // all sequence numbers are equally long
		}
	}
	if newest == "" {
		return client.TrimHorizon(), nil
	}
	return client.After(newest), nil
}

func fileName(shard, first, last string) string { return shard + "-" + first + "-" + last + ".ndjson" }

func parseFileName(name string) (shard, last string, ok bool) {
	rest, ok := strings.CutSuffix(name, ".ndjson")
	if !ok {
		return "", "", false
	}
	parts := strings.Split(rest, "-")
	if len(parts) != 4 || len(parts[2]) != len(parts[3]) || strings.Trim(parts[3], "0123456789") != "" {
		return "", "", false
	}
	return parts[0] + "-" + parts[1], parts[3], true
}

// page takes what was read of one shard.
func (a *archive) page(p client.Page) error {
	a.lag.see(p)
	b := a.buffer(p.ShardID)
	now := a.clock.Now()
	for i := range p.Records {
		r := &p.Records[i]
		if bytes.IndexByte(r.Data, '\n') >= 0 {
			return errNoEvent
		}
		if b.first == "" {
			b.first, b.since = aws.ToString(r.SequenceNumber), now
		}
		b.last = aws.ToString(r.SequenceNumber)
		b.data.Write(r.Data)
		b.data.WriteByte('\n')
		var h struct {
			Run    string `json:"run"`
			SentUS int64  `json:"sent_us"`
		}
		if json.Unmarshal(r.Data, &h) == nil && h.Run == a.run {
			a.latency.add(time.Duration(now.UnixMicro()-h.SentUS) * time.Microsecond)
			a.mu.Lock()
			a.seen++
			a.mu.Unlock()
		}
		if b.data.Len() >= archiveFileBytes {
			if err := a.finish(p.ShardID); err != nil {
				return err
			}
		}
	}
	if b.data.Len() > 0 && (p.Ended || now.Sub(b.since) >= archiveFileAge) {
		return a.finish(p.ShardID)
	}
	return nil
}

func (a *archive) buffer(shard string) *buffer {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.buffers[shard]
}

// finish turns a shard's buffer into a file.
func (a *archive) finish(shard string) error {
	b := a.buffer(shard)
	if b.data.Len() == 0 {
		return nil
	}
	name := fileName(shard, b.first, b.last)
	if err := vfs.WriteFile(a.fs, a.dir, name, b.data.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	a.mu.Lock()
	a.files = append(a.files, name)
	a.bytes += int64(b.data.Len())
	a.mu.Unlock()
	b.data.Reset()
	b.first, b.last = "", ""
	return nil
}

// close writes what is left. No reader may be running.
func (a *archive) close() error {
	for shard := range a.buffers {
		if err := a.finish(shard); err != nil {
			return err
		}
	}
	return nil
}

func (a *archive) stats() (seen int64, files int, size int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.seen, len(a.files), a.bytes
}

// readBack returns what the finished files of this run really hold.
func (a *archive) readBack() (*tally, error) {
	t := newTally()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, name := range a.files {
		data, err := vfs.ReadFile(a.fs, a.dir+"/"+name, math.MaxInt64)
		if err != nil {
			return nil, err
		}
		for line := range bytes.Lines(data) {
			line = bytes.TrimSuffix(line, []byte{'\n'})
			var h header
			if err := json.Unmarshal(line, &h); err != nil {
				return nil, fmt.Errorf("%s: %w", name, errNoEvent)
			}
			if h.Run == a.run {
				t.add(&h, line)
			}
		}
	}
	return t, nil
}
