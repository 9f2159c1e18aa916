package redshift

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"thalweg/internal/delivery/dest"
)

const (
	// pieceBytes is about how much is loaded in one savepoint.
	pieceBytes = 1 << 20
	// maxRow bounds a row that spans records.
	maxRow = 16 << 20
)

// loader loads one batch within a transaction.
type loader struct {
	*database
	conn     *pgconn.PgConn
	copy     string // the statement
	columns  []string
	rows     bytes.Buffer // whole rows of the piece, and the beginning of one
	whole    int          // bytes of rows that are whole
	lines    []line       // of the whole rows
	open     bool         // within a quoted CSV field
	last     int          // the record that the open row began in
	at       int          // the number of the next record
	rejected []dest.Rejected
}

// line is one row in the piece: where it ends, and which records it began and ended in.
type line struct{ end, record, through int }

// prepare finds the table's columns and writes the statement.
func (l *loader) prepare(ctx context.Context) error {
	if l.columns = l.target.columns; len(l.columns) == 0 {
		out := l.conn.ExecParams(ctx, "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 "+
			"AND NOT attisdropped AND attgenerated = '' ORDER BY attnum", [][]byte{[]byte(l.table)}, nil, nil, nil).Read()
		if out.Err != nil {
			return out.Err
		}
		for _, row := range out.Rows {
			l.columns = append(l.columns, string(row[0]))
		}
	}
	names := make([]string, len(l.columns))
	for i, c := range l.columns {
		names[i] = `"` + strings.ReplaceAll(c, `"`, `""`) + `"`
	}
	how := fmt.Sprintf("FORMAT text, DELIMITER %s, NULL %s", literal(l.delimiter), literal(l.null))
	switch l.format {
	case csv:
		how = fmt.Sprintf("FORMAT csv, DELIMITER %s, NULL %s", literal(l.delimiter), literal(l.null))
	case jsonAuto:
		how = "FORMAT text"
	}
	l.copy = fmt.Sprintf("COPY %s (%s) FROM STDIN (%s)", l.table, strings.Join(names, ","), how)
	return nil
}

// literal quotes a text for a statement, whatever standard_conforming_strings says.
func literal(s string) string {
	return ` E'` + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\t", `\t`).Replace(s) + `'`
}

// add takes a record's bytes.
func (l *loader) add(ctx context.Context, r *dest.Record) error {
	record := l.at
	l.at++
	if l.format == jsonAuto {
		if err := l.addJSON(record, r.Data); err != nil {
			for len(l.lines) > 0 && l.lines[len(l.lines)-1].record == record {
				l.lines = l.lines[:len(l.lines)-1]
			}
			l.whole = 0
			if n := len(l.lines); n > 0 {
				l.whole = l.lines[n-1].end
			}
			l.rows.Truncate(l.whole)
			l.reject(record, "The record is not JSON: "+err.Error())
		}
	} else {
		l.addLines(record, r.Data)
	}
	switch {
	case l.rows.Len()-l.whole > maxRow:
		return &dest.Error{Class: dest.Permanent, Code: "Redshift.DataLoadFailed", Message: "A row has no end within 16 MiB."}
	case l.whole >= pieceBytes:
		return l.flush(ctx)
	}
	return nil
}

// addLines takes bytes in which a line break, outside of quotes under CSV, ends a row.
func (l *loader) addLines(record int, data []byte) {
	for _, c := range data {
		if l.rows.Len() == l.whole {
			l.last = record
		}
		if c == '\n' && !l.open {
			l.end()
			continue
		}
		switch {
		case l.format == csv:
			if c == '"' {
				l.open = !l.open
			}
			l.rows.WriteByte(c)
		case c == '\\' && !l.escape:
			// Redshift has no escapes unless it is told so, PostgreSQL always; but a row's
			// field may be the text that stands for null.
			l.rows.WriteByte(c)
			l.rows.WriteByte(c)
		default:
			l.rows.WriteByte(c)
		}
	}
}

// end ends the row that is being made, unless it is empty.
func (l *loader) end() {
	row := bytes.TrimSuffix(l.rows.Bytes()[l.whole:], []byte{'\r'})
	l.rows.Truncate(l.whole + len(row))
	if len(row) == 0 {
		return
	}
	if string(row) == `\.` { // to COPY, the end of all data
		l.rows.Truncate(l.whole)
		l.reject(l.last, `A row that is "\." and nothing else cannot be loaded.`)
		return
	}
	if l.format == delimited && !l.escape {
		l.restoreNull()
	}
	l.rows.WriteByte('\n')
	l.whole = l.rows.Len()
	l.lines = append(l.lines, line{l.whole, l.last, max(l.last, l.at-1)})
}

// restoreNull writes fields that are the text of null as that again, whose backslashes
// were doubled.
func (l *loader) restoreNull() {
	escaped := strings.ReplaceAll(l.null, `\`, `\\`)
	if escaped == l.null || !bytes.Contains(l.rows.Bytes()[l.whole:], []byte(escaped)) {
		return
	}
	fields := bytes.Split(slices.Clone(l.rows.Bytes()[l.whole:]), []byte(l.delimiter))
	for i, f := range fields {
		if string(f) == escaped {
			fields[i] = []byte(l.null)
		}
	}
	l.rows.Truncate(l.whole)
	l.rows.Write(bytes.Join(fields, []byte(l.delimiter)))
}

// addJSON takes JSON objects, each a row.
func (l *loader) addJSON(record int, data []byte) error {
	l.last = record
	for d := json.NewDecoder(bytes.NewReader(data)); ; {
		var object map[string]json.RawMessage
		if err := d.Decode(&object); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if object == nil {
			return errors.New("null is no object")
		}
		if l.ignoreCase {
			folded := make(map[string]json.RawMessage, len(object))
			for k, v := range object {
				folded[strings.ToLower(k)] = v
			}
			object = folded
		}
		for i, c := range l.columns {
			if i > 0 {
				l.rows.WriteByte('\t')
			}
			if err := l.field(object[c]); err != nil {
				return err
			}
		}
		l.rows.WriteByte('\n')
		l.whole = l.rows.Len()
		l.lines = append(l.lines, line{l.whole, l.last, l.last})
	}
}

// escapes are the characters that COPY's text format does not take as they are.
var escapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`, "\t", `\t`)

// field writes a member's value: a text as its characters, anything else as its JSON.
func (l *loader) field(v json.RawMessage) error {
	switch {
	case len(v) == 0 || string(v) == "null":
		l.rows.WriteString(`\N`)
	case v[0] == '"':
		var s string
		if err := json.Unmarshal(v, &s); err != nil {
			return err
		}
		if strings.Contains(s, "\x00") {
			return errors.New("a text has a null character, which the database does not take")
		}
		escapes.WriteString(&l.rows, s)
	case v[0] == '{' || v[0] == '[':
		var packed bytes.Buffer
		if err := json.Compact(&packed, v); err != nil {
			return err
		}
		escapes.WriteString(&l.rows, packed.String())
	default:
		l.rows.Write(v)
	}
	return nil
}

func (l *loader) reject(record int, message string) {
	at, there := slices.BinarySearchFunc(l.rejected, record, func(r dest.Rejected, n int) int { return r.Index - n })
	if there {
		return // another of its rows was bad too
	}
	l.rejected = slices.Insert(l.rejected, at, dest.Rejected{Index: record, Code: "Redshift.DataLoadFailed", Message: message, Attempts: 1})
}

// finish loads what is left.
func (l *loader) finish(ctx context.Context) error {
	if l.rows.Len() > l.whole { // the last line needs no end
		l.open = false
		l.end()
	}
	return l.flush(ctx)
}

// flush loads the whole rows of the piece. Those that the database refuses are
// rejected.
func (l *loader) flush(ctx context.Context) error {
	for len(l.lines) > 0 {
		n, err := l.load(ctx, len(l.lines), true)
		if err == nil {
			break
		}
		_, message, ok := bad(err)
		if !ok {
			return err
		}
		if n, err = l.culprit(ctx, n); err != nil {
			return err
		}
		first, last := l.spanned(n)
		for record := first; record <= last; record++ {
			l.reject(record, message)
		}
		l.remove(first, last)
	}
	rest := bytes.Clone(l.rows.Bytes()[l.whole:])
	l.rows.Reset()
	l.rows.Write(rest)
	l.whole, l.lines = 0, l.lines[:0]
	return nil
}

// load loads the first n rows in a savepoint, and takes them back if they are refused or
// not to be kept. The line that the database says is bad counts from 0.
func (l *loader) load(ctx context.Context, n int, keep bool) (line int, err error) {
	if err := run(ctx, l.conn, "SAVEPOINT piece"); err != nil {
		return 0, err
	}
	_, err = l.conn.CopyFrom(ctx, bytes.NewReader(l.rows.Bytes()[:l.lines[n-1].end]), l.copy)
	line, _, refused := bad(err)
	end := "ROLLBACK TO SAVEPOINT piece; RELEASE SAVEPOINT piece"
	switch {
	case err != nil && !refused:
		return 0, err
	case err == nil && keep:
		end = "RELEASE SAVEPOINT piece"
	}
	if failed := run(ctx, l.conn, end); failed != nil {
		return 0, failed
	}
	return line - 1, err
}

// culprit returns the first bad row, given the line that the database names. Where rows
// have several lines it is not sure which ones the database counts: then fewer and fewer
// rows are loaded until the last is the bad one.
func (l *loader) culprit(ctx context.Context, line int) (int, error) {
	if bytes.Count(l.rows.Bytes()[:l.whole], []byte{'\n'}) == len(l.lines) {
		if line >= len(l.lines) {
			return 0, fmt.Errorf("line %d of %d is said to be bad", line, len(l.lines))
		}
		return line, nil
	}
	good, refused := 0, len(l.lines)
	for refused-good > 1 {
		n := (good + refused) / 2
		_, err := l.load(ctx, n, false)
		_, _, isBad := bad(err)
		switch {
		case err == nil:
			good = n
		case isBad:
			refused = n
		default:
			return 0, err
		}
	}
	return refused - 1, nil
}

// spanned are the records that go with a row: those it has parts in, and those that the
// rows which began in these have, since a record is loaded or rejected whole.
func (l *loader) spanned(n int) (first, last int) {
	first, last = l.lines[n].record, l.lines[n].through
	for _, x := range l.lines {
		if first <= x.record && x.record <= last {
			last = max(last, x.through)
		}
	}
	return first, last
}

// remove takes the rows that began in the records from first to last out of the piece.
func (l *loader) remove(first, last int) {
	old := bytes.Clone(l.rows.Bytes())
	rest := old[l.whole:]
	lines := l.lines
	l.rows.Reset()
	l.lines = nil
	begin := 0
	for _, x := range lines {
		if x.record < first || x.record > last {
			l.rows.Write(old[begin:x.end])
			l.lines = append(l.lines, line{l.rows.Len(), x.record, x.through})
		}
		begin = x.end
	}
	l.whole = l.rows.Len()
	l.rows.Write(rest)
}

var lineOf = regexp.MustCompile(`^COPY .*?, line (\d+)`)

// bad says which line of a COPY the database has refused because of what is in it.
func bad(err error) (n int, message string, ok bool) {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || !strings.HasPrefix(pg.Code, "22") && !strings.HasPrefix(pg.Code, "23") {
		return 0, "", false
	}
	for text := range strings.SplitSeq(pg.Where, "\n") {
		if m := lineOf.FindStringSubmatch(text); m != nil {
			n, err = strconv.Atoi(m[1])
			return n, pg.Message, err == nil && n > 0
		}
	}
	return 0, "", false
}
