package disk

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"thalweg/internal/errs"
	"thalweg/internal/log/batch"
	"thalweg/internal/vfs"
)

// walScan reads a WAL back (docs/formats/wal.md, "Reading it back"). It changes
// nothing.
type walScan struct {
	fs      vfs.FS
	layout  layout
	history history
	after   uint64 // checkpoint: frames up to it are checked, not delivered
	durable uint64 // highest LSN known synced
	clean   bool   // the manifest says that the stop was clean
	// deliver gets every good frame after the checkpoint, in order of LSN. The
	// payload is valid until it returns.
	deliver func(file *walFile, pos int64, f *frame, payload []byte)
	// suspect gets the header of a frame that does not check but may be what it
	// says, where nothing better is known.
	suspect func(f *frame)

	files   []*walFile // in use, in order
	skipped []*walFile // older than needed
	unused  []*walFile
	// doubtful are those of unused whose header does not check.
	doubtful []*walFile
	number   uint64 // highest of all names

	next    uint64 // LSN expected
	rounds  int
	frames  int
	bytes   int64
	lastPos int64 // of the last good round
	lastLen int64
	cuts    []Cut
	damage  []Damage
}

// open finds the files and sorts them.
func (s *walScan) open(flag int) error {
	names, err := s.fs.ReadDir(s.layout.wal())
	if err != nil {
		return errs.Wrap(errs.Internal, "read WAL directory", err)
	}
	for _, name := range names {
		number, ext, ok := parseName(name)
		if !ok || ext != "wal" {
			continue
		}
		s.number = max(s.number, number)
		w := &walFile{path: s.layout.walFile(number), head: walHead{number: number}}
		w.pins.Store(1)
		if w.f, err = s.fs.OpenFile(w.path, flag, 0); err != nil {
			return errs.Wrap(errs.Internal, "open WAL file", err)
		}
		s.unused = append(s.unused, w) // so that close finds it
		if w.size, err = w.f.Size(); err != nil {
			return errs.Wrap(errs.Internal, "open WAL file", err)
		}
		if err := s.classify(w, number); err != nil {
			return err
		}
	}
	if err := s.decideDoubtful(); err != nil {
		return err
	}
	slices.SortFunc(s.files, func(a, b *walFile) int {
		switch {
		case a.head.incarnation != b.head.incarnation:
			return cmp.Compare(a.head.incarnation, b.head.incarnation)
		case a.head.first != b.head.first:
			return cmp.Compare(a.head.first, b.head.first)
		}
		return cmp.Compare(a.head.number, b.head.number)
	})
	for i, w := range s.files {
		w.order = uint64(i + 1)
		s.durable = max(s.durable, w.head.durable, w.head.first-1)
	}
	first := 0
	for i, w := range s.files {
		if w.head.first <= s.after+1 {
			first = i
		}
	}
	s.skipped, s.files = s.files[:first], s.files[first:]
	return nil
}

// classify decides whether w, the last of unused, is in use. A file whose header
// does not check is left for [walScan.decideDoubtful].
func (s *walScan) classify(w *walFile, number uint64) error {
	b := make([]byte, walHeadSize+roundSize)
	n, err := w.f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return errs.Wrap(errs.Internal, "read WAL file", err)
	}
	b = b[:n]
	head, ok := parseWALHead(b, s.history)
	switch {
	case ok && head.number != number, s.clean && !ok && len(bytes.TrimLeft(b, "\x00")) == 0:
		return nil // not begun
	case !ok:
		s.doubtful = append(s.doubtful, w)
		return nil
	}
	w.head = head
	s.unused = s.unused[:len(s.unused)-1]
	s.files = append(s.files, w)
	return nil
}

// decideDoubtful takes files with a bad header into use if they are needed. A
// header is durable before the first round is written: behind a bad one, a round
// that is still needed is damage. What a recycled file held is not.
func (s *walScan) decideDoubtful() error {
	for _, w := range s.doubtful {
		first, err := s.live(w)
		if err != nil {
			return err
		}
		if first.first == 0 {
			continue
		}
		s.damage = append(s.damage, Damage{File: w.path, To: walHeadSize, Reason: "header does not match its checksum"})
		w.head = walHead{incarnation: first.incarnation, number: w.head.number, first: first.first, durable: first.durable}
		s.unused = slices.DeleteFunc(s.unused, func(u *walFile) bool { return u == w })
		s.files = append(s.files, w)
	}
	s.doubtful = nil
	return nil
}

// live looks for a round in w that is still needed: above the checkpoint, and not
// ended by a later incarnation. It returns the first round of the file then, and
// else a zero one.
func (s *walScan) live(w *walFile) (first round, err error) {
	win := &window{f: w.f, size: w.size, step: 1 << 20}
	found := false
	s.eachRound(win, walHeadSize, func(r round, _ int64) {
		if first.first == 0 {
			first = r
		}
		found = found || r.last() > s.after && !s.superseded(r)
	})
	if win.err != nil {
		return round{}, errs.Wrap(errs.Internal, "read WAL file", win.err)
	}
	if !found {
		first = round{}
	}
	return first, nil
}

// superseded reports whether a later opening began at or below the end of r: r was
// cut then.
func (s *walScan) superseded(r round) bool {
	return slices.ContainsFunc(s.files, func(w *walFile) bool {
		return w.head.incarnation > r.incarnation && w.head.first <= r.last()
	})
}

// eachRound calls fn for every valid round header from pos on.
func (s *walScan) eachRound(win *window, pos int64, fn func(r round, at int64)) {
	magic := []byte("TWRD")
	from := pos
	for pos < win.size {
		b := win.rest(pos)
		if b == nil {
			return
		}
		i := bytes.Index(b, magic)
		if i < 0 {
			pos += int64(max(len(b)-3, 1))
			continue
		}
		pos += int64(i)
		at := pos - 4
		pos++
		if at < from {
			continue
		}
		if h := win.at(at, roundSize); h != nil {
			if r, ok := parseRound(h, s.history); ok {
				fn(r, at)
			}
		}
	}
}

// close closes the files that were not taken over.
func (s *walScan) close() {
	for _, w := range slices.Concat(s.files, s.skipped, s.unused) {
		_ = w.unpin() // only read from
	}
	s.files, s.skipped, s.unused = nil, nil, nil
}

// run reads all rounds.
func (s *walScan) run() error {
	s.next = s.after + 1
	if len(s.files) == 0 {
		if s.durable > s.after {
			s.damage = append(s.damage, Damage{
				File: s.layout.wal(), FirstLSN: s.next, LastLSN: s.durable, Reason: "WAL files are missing",
			})
			s.next = s.durable + 1
		}
		return nil
	}
	s.next = min(s.next, s.files[0].head.first)
	for i, w := range s.files {
		limit := uint64(0)
		if i+1 < len(s.files) {
			limit = s.files[i+1].head.first
		}
		if w.head.first > s.next {
			s.damage = append(s.damage, Damage{
				File: w.path, FirstLSN: s.next, LastLSN: w.head.first - 1, Reason: "what the WAL holds before this file is missing",
			})
		}
		s.next = w.head.first
		if err := s.file(w, limit); err != nil {
			return err
		}
	}
	if s.durable <= s.after { // nothing that the segments do not have
		s.next = max(s.next, s.after+1)
	}
	if s.durable >= s.next {
		w := s.files[len(s.files)-1]
		s.damage = append(s.damage, Damage{
			File: w.path, From: w.pos, To: max(w.size, w.pos), FirstLSN: s.next, LastLSN: s.durable,
			Reason: "end of the WAL is missing",
		})
		s.next = s.durable + 1
	}
	return nil
}

// file reads the rounds of w that lie below limit (0 is no limit).
func (s *walScan) file(w *walFile, limit uint64) error {
	win := &window{f: w.f, size: w.size, step: 1 << 20}
	w.pos = walHeadSize
	for limit == 0 || s.next < limit {
		r, body, ok := s.round(win, w, w.pos)
		if ok && (limit == 0 || r.last() < limit) {
			s.lastPos, s.lastLen = w.pos, roundSize+int64(len(body))
			s.good(w, w.pos+roundSize, body)
			s.next = r.last() + 1
			s.durable = max(s.durable, r.durable)
			s.rounds++
			w.pos += roundSize + int64(len(body))
			s.bytes += roundSize + int64(len(body))
			continue
		}
		if win.err != nil {
			return errs.Wrap(errs.Internal, "read WAL", win.err)
		}
		more, err := s.bad(win, w, limit)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// round reads and checks the round that should be at pos.
func (s *walScan) round(win *window, w *walFile, pos int64) (r round, body []byte, ok bool) {
	b := win.at(pos, roundSize)
	if b == nil {
		return r, nil, false
	}
	r, ok = parseRound(b, s.history)
	if !ok || r.first != s.next || r.incarnation != w.head.incarnation {
		return r, nil, false
	}
	if body = win.at(pos+roundSize, int(r.length)); body == nil {
		return r, nil, false
	}
	sum, lsn := uint32(0), r.first
	for rest := body; len(rest) > 0; lsn++ {
		f, _, ok := parseFrame(rest, s.history.seed)
		if !ok || f.lsn != lsn {
			return r, nil, false
		}
		sum = crc32.Update(sum, batch.Castagnoli, rest[:4])
		rest = rest[f.size:]
	}
	return r, body, sum == r.bodyCRC && lsn == r.last()+1
}

// good delivers the frames of a checked round whose body is at pos.
func (s *walScan) good(w *walFile, pos int64, body []byte) {
	for len(body) > 0 {
		f, _ := parseFrameHead(body)
		if f.lsn > s.after {
			s.frames++
			s.deliver(w, pos, &f, body[frameSize:f.size])
		}
		body, pos = body[f.size:], pos+int64(f.size)
	}
}

// bad decides what it means that there is no good round at w.pos. more tells to
// read on, at w.pos with s.next.
func (s *walScan) bad(win *window, w *walFile, limit uint64) (more bool, err error) {
	from, want := w.pos, s.next
	later, at, rounds := s.hunt(win, w, limit)
	if win.err != nil {
		return false, errs.Wrap(errs.Internal, "read WAL", win.err)
	}
	if limit == 0 && s.durable < want {
		end, err := s.lastByte(win, w, from)
		if err != nil {
			return false, err
		}
		if end > from || rounds > 0 {
			s.cuts = append(s.cuts, Cut{File: w.path, From: from, To: max(end, from+1), FirstLSN: want, Rounds: rounds})
		}
		return false, nil
	}
	if limit == 0 && s.durable <= s.after && at == 0 {
		// All that is known to have been durable is in segments. A start that frees its
		// files may have been cut off when the newest was gone and an older one, which
		// ends before the checkpoint, was still there.
		end, err := s.lastByte(win, w, from)
		if err != nil || end <= from {
			return false, err
		}
	}
	d := Damage{File: w.path, From: from, To: w.size, FirstLSN: want, Reason: "round does not match its checksum"}
	switch {
	case at > 0:
		d.To, d.LastLSN = at, later.first-1
	case limit > 0:
		d.LastLSN = limit - 1
	default:
		d.LastLSN = s.durable
	}
	if d.To <= d.From {
		d.To = d.From + 1
	}
	s.damage = append(s.damage, d)
	s.salvage(win, w, from, min(d.To, w.size), want, d.LastLSN)
	s.next = d.LastLSN + 1
	w.pos = d.To
	return at > 0, win.err
}

// hunt looks for valid round headers after w.pos: the first one that is later
// than what is expected, how many there are, and what they know to be durable.
func (s *walScan) hunt(win *window, w *walFile, limit uint64) (first round, at int64, n int) {
	s.eachRound(win, w.pos, func(r round, pos int64) {
		if r.incarnation != w.head.incarnation || r.first <= s.next || limit > 0 && r.first >= limit {
			return
		}
		if n == 0 {
			first, at = r, pos
		}
		n++
		s.durable = max(s.durable, r.durable)
	})
	return first, at, n
}

// lastByte is where the leftovers after from end: at the last byte that is not
// zero in a file that was new, else nowhere but in the torn round itself.
func (s *walScan) lastByte(win *window, w *walFile, from int64) (int64, error) {
	end := from
	if w.head.flags&walZeroed == 0 {
		if b := win.at(from, roundSize); b != nil {
			if r, ok := parseRound(b, s.history); ok && r.first == s.next && r.incarnation == w.head.incarnation {
				end = min(from+roundSize+int64(r.length), w.size)
			}
		}
		return end, win.err
	}
	for pos := from; pos < w.size; {
		b := win.rest(pos)
		if b == nil {
			break
		}
		if n := len(bytes.TrimRight(b, "\x00")); n > 0 {
			end = pos + int64(n)
		}
		pos += int64(len(b))
	}
	return end, win.err
}

// salvage delivers the good frames between from and to, where no round is whole.
func (s *walScan) salvage(win *window, w *walFile, from, to int64, lo, hi uint64) {
	for pos := from; pos+frameSize <= to && lo <= hi; {
		b := win.at(pos, frameSize)
		if b == nil {
			return
		}
		f, ok := parseFrameHead(b)
		if !ok || f.lsn < lo || f.lsn > hi || pos+int64(f.size) > to {
			pos++
			continue
		}
		g, whole, ok := win.frameAt(pos, to, s.history.seed)
		if !ok {
			if f.lsn > s.after {
				s.suspect(&f)
			}
			pos++
			continue
		}
		if g.lsn > s.after {
			s.frames++
			s.deliver(w, pos, &g, whole[frameSize:])
		}
		lo = g.lsn + 1
		pos += int64(g.size)
	}
}

// rewriteLast writes the last good round again where it is and syncs it. After a
// failed sync a page cache may show bytes that the disk does not have.
func (s *walScan) rewriteLast(w *walFile) error {
	if s.lastLen == 0 {
		return nil
	}
	b := make([]byte, s.lastLen)
	if _, err := w.f.ReadAt(b, s.lastPos); err != nil && !errors.Is(err, io.EOF) {
		return errs.Wrap(errs.Internal, "read WAL", err)
	}
	if _, err := w.f.WriteAt(b, s.lastPos); err != nil {
		return errs.Wrap(kindOf(err), "write WAL", err)
	}
	return nil
}

// settle makes durable what was found in the WAL but is not known to be: a
// reader must not be shown what a power cut could still take back.
func (s *walScan) settle() error {
	if s.durable+1 >= s.next || len(s.files) == 0 {
		return nil
	}
	last := s.files[len(s.files)-1]
	if last.pos > walHeadSize {
		if err := s.rewriteLast(last); err != nil {
			return err
		}
	}
	for i, w := range s.files {
		if i+1 < len(s.files) && s.files[i+1].head.first <= s.durable+1 {
			continue
		}
		if err := w.f.SyncData(); err != nil {
			return errs.Wrap(errs.Internal, "sync WAL", err)
		}
	}
	s.durable = s.next - 1
	return nil
}

// removeStray removes unfinished files and files of seg/ that known does not
// name: what a crash left.
func removeStray(fsys vfs.FS, l layout, known map[uint64]fileInfo) error {
	names, err := fsys.ReadDir(l.seg())
	if err != nil {
		return errs.Wrap(errs.Internal, "read segment directory", err)
	}
	for _, name := range names {
		number, ext, ok := parseName(name)
		fi, keep := known[number]
		stray := ok && !(keep && (name == segName(number, fi.kind) || ext == "idx"))
		if !stray && !strings.HasSuffix(name, ".tmp") {
			continue
		}
		if err := fsys.Remove(l.seg() + "/" + name); err != nil {
			return errs.Wrap(errs.Internal, "remove stray file", err)
		}
	}
	for _, name := range []string{l.manifest() + ".tmp", l.format() + ".tmp"} {
		if err := fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return errs.Wrap(errs.Internal, "remove stray file", fmt.Errorf("%s: %w", name, err))
		}
	}
	return nil
}

func openFlag(readOnly bool) int {
	if readOnly {
		return os.O_RDONLY
	}
	return os.O_RDWR
}
