package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"thalweg/internal/app"
)

// trial is what would become of records.
type trial struct {
	Records []struct {
		Record  int               `json:"record"`
		Outcome string            `json:"outcome"`
		Data    []byte            `json:"data,omitempty"`
		Keys    map[string]string `json:"keys,omitempty"`
		Type    string            `json:"type,omitempty"`
		Code    string            `json:"code,omitempty"`
		Message string            `json:"message,omitempty"`
	} `json:"records"`
	Objects []batchObject `json:"objects,omitempty"`
}

func (e Env) firehoseTry() *cobra.Command {
	return e.firehoseAdmin("try NAME [TEXT...]", "Show what would become of each TEXT, or each line of standard input, and deliver nothing",
		"  thalweg firehose try events '{\"score\":1}'\n  head -5 lines.ndjson | thalweg firehose try events", cobra.MinimumNArgs(1), nil,
		func(ctx context.Context, d *delivery, a *admin, args []string) error {
			var in io.Reader = e.Stdin
			if len(args) > 1 {
				in = strings.NewReader(strings.Join(args[1:], "\n") + "\n")
			}
			var samples app.TryRecords
			lines := bufio.NewScanner(in)
			lines.Buffer(nil, 1024000)
			for lines.Scan() {
				samples.Records = append(samples.Records, []byte(lines.Text()+"\n"))
			}
			if err := lines.Err(); err != nil {
				return err
			}
			var out trial
			if err := a.call(ctx, "POST", d.path(args[0], "/try"), samples, &out); err != nil {
				return err
			}
			return e.print(d.out, out, func(w *tabwriter.Writer) {
				for _, r := range out.Records {
					why := r.Code
					if r.Message != "" {
						why += ": " + r.Message
					}
					for _, k := range slices.Sorted(maps.Keys(r.Keys)) {
						why += " " + k + "=" + r.Keys[k]
					}
					row(w, r.Record, r.Outcome, strings.TrimSpace(why), fmt.Sprintf("%.200q", strings.TrimSuffix(string(r.Data), "\n")))
				}
				for _, o := range out.Objects {
					row(w, "object", "", o.Bucket+"/"+o.Key, plural(int(o.Records), "record")+", "+plural(int(o.Size), "byte"))
				}
			})
		})
}
