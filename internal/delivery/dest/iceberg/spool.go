package iceberg

import (
	"bufio"
	"cmp"
	"io"
	"slices"

	"thalweg/internal/delivery/dest"
)

// spool is a scratch file of records, each of a group.
type spool struct {
	file  dest.Scratch // nil until there is a record
	out   *bufio.Writer
	size  int64
	index []spooled // in the order of the records; sorted by group once it is read
}

type spooled struct {
	at     int64
	length int32
	group  int32
}

const spoolBuffer = 64 << 10

func (s *spool) add(scratch func() (dest.Scratch, error), group int32, data []byte) (err error) {
	if s.file == nil {
		if s.file, err = scratch(); err != nil {
			return err
		}
		s.out = bufio.NewWriterSize(s.file, spoolBuffer)
	}
	s.index = append(s.index, spooled{s.size, int32(len(data)), group})
	s.size += int64(len(data))
	_, err = s.out.Write(data)
	return err
}

// each goes over the records of a group, in their order. What it gives is valid during
// the call.
func (s *spool) each(group int32, yield func([]byte) error) error {
	if s.out.Buffered() > 0 {
		if err := s.out.Flush(); err != nil {
			return err
		}
	}
	if !slices.IsSortedFunc(s.index, byGroup) {
		slices.SortStableFunc(s.index, byGroup)
	}
	first, _ := slices.BinarySearchFunc(s.index, group, func(e spooled, g int32) int { return cmp.Compare(e.group, g) })
	in := bufio.NewReaderSize(s.file, spoolBuffer)
	at := int64(-1)
	var buf []byte
	for _, e := range s.index[first:] {
		if e.group != group {
			return nil
		}
		if skip := e.at - at; at < 0 || skip > spoolBuffer {
			if _, err := s.file.Seek(e.at, io.SeekStart); err != nil {
				return err
			}
			in.Reset(s.file)
		} else if _, err := in.Discard(int(skip)); err != nil {
			return err
		}
		buf = slices.Grow(buf[:0], int(e.length))[:e.length]
		if _, err := io.ReadFull(in, buf); err != nil {
			return err
		}
		at = e.at + int64(e.length)
		if err := yield(buf); err != nil {
			return err
		}
	}
	return nil
}

func byGroup(a, b spooled) int { return cmp.Compare(a.group, b.group) }

func (s *spool) close() {
	if s.file != nil {
		_ = s.file.Close() // nothing of it is needed any more
	}
}
