// Package ledger is the memory of a crash test: a file, kept outside the server
// process, into which a client writes every call before it is sent and every
// answer as it comes, and the checker that holds what is read back against it.
//
// The file is text, one fact a line:
//
//	S <call> <id>:<crc> ...       call is about to be sent with these records
//	A <call> <shard>:<seq> ...    it was answered; "-" for a record that failed
//	F <call> <text>               it was answered with an error: nothing written
//
// A call with an S and nothing else was never answered. A Ledger is safe for
// concurrent use.
package ledger

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"

	"thalweg/tests/events"
)

// Record is one record of a call.
type Record struct {
	ID  events.ID
	Sum uint32 // events.Sum of the payload
}

// Place is where a record was put. The zero Place is a record that failed.
type Place struct {
	Shard, Seq string
}

// Ledger appends to the file.
type Ledger struct {
	file *os.File

	mu   sync.Mutex
	next int   // guarded by mu; number of the next call
	err  error // guarded by mu; the first failed write
}

// Create makes the file.
func Create(path string) (*Ledger, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("create ledger: %w", err)
	}
	return &Ledger{file: file}, nil
}

// Close closes the file and returns the first failure of any write.
func (l *Ledger) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.file.Close(); l.err == nil {
		l.err = err
	}
	return l.err
}

// Sent notes that a call is about to be sent and returns its number.
func (l *Ledger) Sent(records []Record) int {
	line := make([]byte, 0, 80*len(records))
	for _, r := range records {
		line = fmt.Appendf(line, " %s:%08x", r.ID, r.Sum)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	call := l.next
	l.next++
	l.write(fmt.Appendf(nil, "S %d%s\n", call, line))
	return call
}

// Acked notes a call's answer: a place for each of its records.
func (l *Ledger) Acked(call int, places []Place) {
	line := fmt.Appendf(nil, "A %d", call)
	for _, p := range places {
		if p.Seq == "" {
			line = append(line, " -"...)
		} else {
			line = fmt.Appendf(line, " %s:%s", p.Shard, p.Seq)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.write(append(line, '\n'))
}

// Failed notes that a call was answered with an error.
func (l *Ledger) Failed(call int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.write(fmt.Appendf(nil, "F %d %q\n", call, err.Error()))
}

// write runs with mu held.
func (l *Ledger) write(line []byte) {
	if _, err := l.file.Write(line); err != nil && l.err == nil {
		l.err = fmt.Errorf("write ledger: %w", err)
	}
}

// Outcome is how a call ended.
type Outcome uint8

// Outcomes of a call.
const (
	Unanswered Outcome = iota
	Answered
	Refused
)

// Call is one call as the ledger knows it. Places is empty unless Answered.
type Call struct {
	Records []Record
	Places  []Place
	Outcome Outcome
}

// Load reads a ledger file.
func Load(path string) ([]Call, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	defer file.Close()
	return Parse(file)
}

// Parse reads a ledger.
func Parse(r io.Reader) ([]Call, error) {
	var calls []Call
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), 1<<20)
	for n := 1; lines.Scan(); n++ {
		if err := apply(&calls, lines.Text()); err != nil {
			return nil, fmt.Errorf("ledger line %d: %w", n, err)
		}
	}
	return calls, lines.Err()
}

func apply(calls *[]Call, line string) error {
	kind, rest, _ := strings.Cut(line, " ")
	number, rest, _ := strings.Cut(rest, " ")
	n, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	if kind == "S" {
		if n != len(*calls) {
			return fmt.Errorf("call %d sent out of turn", n)
		}
		records, err := parseRecords(rest)
		*calls = append(*calls, Call{Records: records})
		return err
	}
	if n < 0 || n >= len(*calls) || (*calls)[n].Outcome != Unanswered {
		return fmt.Errorf("call %d answered twice or before it was sent", n)
	}
	call := &(*calls)[n]
	switch kind {
	case "F":
		call.Outcome = Refused
		return nil
	case "A":
		call.Outcome = Answered
		call.Places, err = parsePlaces(rest)
		if err == nil && len(call.Places) != len(call.Records) {
			err = fmt.Errorf("call %d: %d answers to %d records", n, len(call.Places), len(call.Records))
		}
		return err
	}
	return fmt.Errorf("unknown line %q", kind)
}

func parseRecords(s string) ([]Record, error) {
	fields := strings.Fields(s)
	records := make([]Record, len(fields))
	for i, f := range fields {
		name, sum, _ := strings.Cut(f, ":")
		part := strings.Split(name, "/")
		if len(part) != 4 {
			return nil, fmt.Errorf("identity %q", name)
		}
		run, err1 := strconv.Atoi(part[0])
		seq, err2 := strconv.ParseInt(part[3], 10, 64)
		crc, err3 := strconv.ParseUint(sum, 16, 32)
		if err1 != nil || err2 != nil || err3 != nil {
			return nil, fmt.Errorf("record %q", f)
		}
		records[i] = Record{ID: events.ID{Run: run, Game: part[1], Player: part[2], Seq: seq}, Sum: uint32(crc)}
	}
	return records, nil
}

func parsePlaces(s string) ([]Place, error) {
	fields := strings.Fields(s)
	places := make([]Place, len(fields))
	for i, f := range fields {
		if f == "-" {
			continue
		}
		shard, seq, ok := strings.Cut(f, ":")
		if !ok || seq == "" {
			return nil, fmt.Errorf("place %q", f)
		}
		places[i] = Place{Shard: shard, Seq: seq}
	}
	return places, nil
}
