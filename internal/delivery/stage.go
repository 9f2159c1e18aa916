package delivery

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"slices"

	"thalweg/internal/delivery/dest"
	"thalweg/internal/errs"
)

// maxEntry bounds an entry of a plan's file: a record, with room for what belongs to
// it.
const maxEntry = 64 << 20

// maxPartitions is how many sets of partition keys a batch has; records of others go to
// the error output (docs.aws.amazon.com/firehose/latest/dev/limits.html).
const maxPartitions = 500

// errGone tells that the file of a plan is not there.
var errGone = errors.New("what was set aside for a plan is gone")

// stager sets a batch's records aside: it takes them through the stages, and keeps
// what came of them until the plan has come to its end.
type stager struct {
	ctx    context.Context
	stages []dest.Processor
	raw    bool // keep what the source had, too
	meter  *Meter

	scratch dest.Scratch
	out     *bufio.Writer
	at      int64 // where the next entry will be
	chunk   []dest.Record
	bytes   int // of chunk
	buf     []byte
	index   []indexed
	groups  map[string]int32
	grouped bool // some record has keys
	Records int64
	Failed  int64
}

// indexed is where an entry is, and which group of equal keys it is of.
type indexed struct {
	group int32
	at    int64
}

func (s *Service) newStager(ctx context.Context, stages []dest.Processor, raw bool, m *Meter) (*stager, error) {
	scratch, err := s.o.Files.Scratch()
	if err != nil {
		return nil, err
	}
	return &stager{ctx: ctx, stages: stages, raw: raw, meter: m, scratch: scratch, out: bufio.NewWriterSize(scratch, 64<<10),
		groups: map[string]int32{}}, nil
}

func (g *stager) close() { _ = g.scratch.Close() } // nothing of it is needed

// add takes a record of the source.
func (g *stager) add(r *dest.Record) error {
	if g.raw {
		if err := g.put(entryRaw, r, nil); err != nil {
			return err
		}
	}
	if len(g.stages) == 0 {
		g.Records++
		return g.put(entryRecord, r, nil)
	}
	kept := *r
	kept.Data = slices.Clone(r.Data)
	g.chunk = append(g.chunk, kept)
	if g.bytes += len(kept.Data) + 256; g.bytes >= dest.ChunkBytes {
		return g.process()
	}
	return nil
}

// process takes the chunk through the stages.
func (g *stager) process() error {
	in := g.chunk
	if len(in) == 0 {
		return nil
	}
	for _, stage := range g.stages {
		out, failed, err := stage.Process(g.ctx, in)
		if err != nil {
			return err
		}
		for i := range failed {
			g.Failed++
			g.meter.ProcessFailed.Add(1)
			if err := g.put(entryFailed, &failed[i].Record, &failed[i]); err != nil {
				return err
			}
		}
		in = out
	}
	for i := range in {
		g.Records++
		g.meter.Processed.Add(1)
		g.meter.ProcessedBytes.Add(int64(len(in[i].Data)))
		if err := g.put(entryRecord, &in[i], nil); err != nil {
			return err
		}
	}
	clear(g.chunk)
	g.chunk, g.bytes = g.chunk[:0], 0
	return nil
}

func (g *stager) put(kind entryKind, r *dest.Record, f *dest.Failure) error {
	if kind == entryRecord && len(r.Keys) > 0 && len(g.groups) == maxPartitions && g.groups[string(appendMap(nil, r.Keys))] == 0 {
		g.Records--
		g.Failed++
		kind, f = entryFailed, &dest.Failure{Type: "dynamic-partitioning-failed", Code: "DynamicPartitioning.ActivePartitionsLimitExceeded",
			Message: "The batch has records of more than 500 partitions.", Attempts: 1}
	}
	g.buf = appendEntry(g.buf[:0], kind, r, f)
	group := int32(0)
	if kind == entryRecord && len(r.Keys) > 0 {
		name := string(appendMap(nil, r.Keys))
		var ok bool
		if group, ok = g.groups[name]; !ok {
			group = int32(len(g.groups)) + 1
			g.groups[name] = group
		}
		g.grouped = true
	}
	g.index = append(g.index, indexed{group, g.at})
	g.at += int64(len(g.buf))
	_, err := g.out.Write(g.buf)
	return err
}

// finish makes the plan's file.
func (g *stager) finish(files Files, name string) error {
	if err := g.process(); err != nil {
		return err
	}
	if err := g.out.Flush(); err != nil {
		return err
	}
	file, err := files.Create(name)
	if err != nil {
		return err
	}
	if err := g.copy(file); err != nil {
		file.Abort()
		return err
	}
	return file.Commit()
}

// copy writes the entries, records with equal keys together.
func (g *stager) copy(to io.Writer) error {
	if !g.grouped {
		if _, err := g.scratch.Seek(0, io.SeekStart); err != nil {
			return err
		}
		_, err := io.Copy(to, g.scratch)
		return err
	}
	slices.SortStableFunc(g.index, func(a, b indexed) int { return int(a.group) - int(b.group) })
	in := bufio.NewReader(g.scratch)
	at := int64(-1)
	for _, e := range g.index {
		if e.at != at {
			if _, err := g.scratch.Seek(e.at, io.SeekStart); err != nil {
				return err
			}
			in.Reset(g.scratch)
		}
		entry, err := readEntry(in, g.buf)
		if err != nil {
			return err
		}
		g.buf = entry
		head := binary.AppendUvarint(nil, uint64(len(entry)))
		if _, err := to.Write(head); err != nil {
			return err
		}
		if _, err := to.Write(entry); err != nil {
			return err
		}
		at = e.at + int64(len(head)+len(entry))
	}
	return nil
}

// readEntry reads the next entry into buf's storage; io.EOF at the end.
func readEntry(in *bufio.Reader, buf []byte) ([]byte, error) {
	n, err := binary.ReadUvarint(in)
	if err != nil {
		return nil, err
	}
	if n > maxEntry {
		return nil, errs.New(errs.Corrupt, "a file of a delivery's records is damaged")
	}
	buf = slices.Grow(buf[:0], int(n))[:n]
	if _, err = io.ReadFull(in, buf); errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return buf, err
}

// staged goes over the entries of a plan's file that are of one kind.
func (s *Service) staged(ctx context.Context, name string, kind entryKind, yield func(*dest.Failure) error) error {
	file, err := s.o.Files.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return errGone
	}
	if err != nil {
		return err
	}
	defer file.Close()
	in := bufio.NewReaderSize(file, 64<<10)
	var buf []byte
	for ctx.Err() == nil {
		if buf, err = readEntry(in, buf); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		k, f, err := parseEntry(buf)
		if err != nil {
			return err
		}
		if k != kind {
			continue
		}
		if err := yield(&f); err != nil {
			return err
		}
	}
	return ctx.Err()
}
