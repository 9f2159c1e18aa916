package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// format is the value of -o.
type format string

const (
	formatTable format = "table"
	formatJSON  format = "json"
)

func (f *format) Set(s string) error {
	switch format(s) {
	case formatTable, formatJSON:
		*f = format(s)
		return nil
	}
	return fmt.Errorf("%q is none of table|json", s)
}
func (f *format) String() string { return string(*f) }

// Type names the form.
func (f *format) Type() string { return "table|json" }

// addOutput adds -o to a command.
func addOutput(c *cobra.Command) *format {
	f := formatTable
	addOutputTo(c.Flags(), &f)
	return &f
}

func addOutputTo(fs *pflag.FlagSet, f *format) {
	*f = formatTable
	fs.VarP(f, "output", "o", "form of the result")
}

// print writes v as JSON, or calls table.
func (e Env) print(f format, v any, table func(*tabwriter.Writer)) error {
	if f == formatJSON {
		return writeJSON(e.Stdout, v)
	}
	w := tabwriter.NewWriter(e.Stdout, 0, 0, 3, ' ', 0)
	table(w)
	return w.Flush()
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// row writes one row of a table.
func row(w *tabwriter.Writer, cells ...any) {
	for i, c := range cells {
		if i > 0 {
			io.WriteString(w, "\t")
		}
		fmt.Fprint(w, c)
	}
	io.WriteString(w, "\n")
}

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%s %ss", grouped(int64(n)), one)
}

// grouped writes n with thousands set off.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// sizeText writes a count of bytes for people.
func sizeText(n int64) string {
	if n < 1024 {
		return plural(int(n), "byte")
	}
	const unit = "KMGT"
	f, i := float64(n)/1024, 0
	for f >= 1024 && i < len(unit)-1 {
		f, i = f/1024, i+1
	}
	return fmt.Sprintf("%.1f %ciB", f, unit[i])
}

// oneLine makes text safe to print on one line of a terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
