package cli

import (
	"context"
	"fmt"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"thalweg/internal/app"
)

// delivery is what the server's owner asks of a delivery stream beside the API.
type delivery struct {
	env                   Env
	data, account, region string
	out                   format
}

// firehoseAdmin makes a command that talks to the server of a data directory as its
// owner.
func (e Env) firehoseAdmin(use, short, example string, args cobra.PositionalArgs, more func(*cobra.Command),
	fn func(ctx context.Context, d *delivery, a *admin, args []string) error) *cobra.Command {
	d := &delivery{env: e}
	c := &cobra.Command{Use: use, Short: short, Example: example, Args: args}
	c.Flags().StringVar(&d.data, "data", "", "the server's data `DIR` (THALWEG_DATA; else the default one)")
	c.Flags().StringVar(&d.account, "account", "", "`ACCOUNT` of the delivery stream; the server's own if not given")
	c.Flags().StringVar(&d.region, "region", "", "`REGION` of the delivery stream; the server's own if not given")
	addOutputTo(c.Flags(), &d.out)
	if more != nil {
		more(c)
	}
	c.RunE = func(cmd *cobra.Command, args []string) error {
		a, err := newAdmin(e.dataDir(d.data))
		if err != nil {
			return err
		}
		defer a.client.Close()
		return fn(cmd.Context(), d, a, args)
	}
	return c
}

// path is that of a delivery stream's endpoint.
func (d *delivery) path(name, rest string) string {
	q := url.Values{}
	for k, v := range map[string]string{"account": d.account, "region": d.region} {
		if v != "" {
			q.Set(k, v)
		}
	}
	return "firehose/" + url.PathEscape(name) + rest + "?" + q.Encode()
}

// explanation is what is shown of a delivery stream.
type explanation struct {
	Name        string       `json:"name"`
	State       string       `json:"state"`
	Version     string       `json:"version"`
	Destination string       `json:"destination"`
	Host        string       `json:"host"`
	HostAlone   bool         `json:"host_left_alone"`
	Plan        *batchPlan   `json:"plan,omitempty"`
	Status      batchStatus  `json:"status"`
	Places      []batchPlace `json:"places"`
}

type batchPlan struct {
	ID      string `json:"id"`
	Version uint64 `json:"version"`
	Created int64  `json:"created"`
	Oldest  int64  `json:"oldest"`
	Records int64  `json:"records"`
	Bytes   int64  `json:"bytes"`
}

type batchStatus struct {
	Attempts int       `json:"attempts,omitempty"`
	Error    string    `json:"error,omitempty"`
	Next     time.Time `json:"next,omitzero"`
	Waiting  string    `json:"waiting,omitempty"`
}

type batchPlace struct {
	Shard string `json:"shard"`
	Next  int64  `json:"next"`
	End   int64  `json:"end"`
}

// ledgerEntry is a batch that has come to its end.
type ledgerEntry struct {
	batchPlan
	Outcome  string        `json:"outcome"`
	Attempts int           `json:"attempts"`
	Done     int64         `json:"done"`
	Objects  []batchObject `json:"objects,omitempty"`
	Errors   []batchObject `json:"errors,omitempty"`
	Refused  int64         `json:"refused,omitempty"`
	Error    string        `json:"error,omitempty"`
}

type batchObject struct {
	Bucket  string `json:"bucket"`
	Key     string `json:"key"`
	Size    int64  `json:"size"`
	SHA256  string `json:"sha256"`
	Records int64  `json:"records"`
}

func (d *delivery) show(e explanation) error {
	return d.env.print(d.out, e, func(w *tabwriter.Writer) {
		row(w, "delivery stream", e.Name+", "+e.State+", version "+e.Version)
		row(w, "destination", e.Destination+", "+e.Host)
		if e.HostAlone {
			row(w, "", "left alone for now, after failures in a row: one delivery probes it")
		}
		for _, p := range e.Places {
			row(w, p.Shard, fmt.Sprintf("%s delivered, %s to deliver", grouped(p.Next), grouped(p.End-p.Next)))
		}
		if e.Plan != nil {
			row(w, "batch", fmt.Sprintf("%s, %s, %s bytes, planned %s", e.Plan.ID, plural(int(e.Plan.Records), "record"), grouped(e.Plan.Bytes), at(e.Plan.Created)))
		}
		if e.Status.Waiting != "" {
			row(w, "waiting", e.Status.Waiting)
		}
		if !e.Status.Next.IsZero() {
			row(w, "until", e.Status.Next.UTC().Format(time.RFC3339))
		}
		if e.Status.Error != "" {
			row(w, "last error", e.Status.Error)
		}
	})
}

func at(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }

func (e Env) firehoseExplain() *cobra.Command {
	return e.firehoseAdmin("explain NAME", "Say what a delivery stream is doing, and why; or a channel, by what its ARN ends with",
		"  thalweg firehose explain events\n  thalweg firehose explain channel/ID", exactly("a NAME"), nil,
		func(ctx context.Context, d *delivery, a *admin, args []string) error {
			var out explanation
			if err := a.call(ctx, "GET", d.path(args[0], ""), nil, &out); err != nil {
				return err
			}
			return d.show(out)
		})
}

func (e Env) firehoseLedger() *cobra.Command {
	return e.firehoseAdmin("ledger NAME", "List the batches that were delivered, with their objects", "  thalweg firehose ledger events -o json",
		exactly("a NAME"), nil,
		func(ctx context.Context, d *delivery, a *admin, args []string) error {
			var out []ledgerEntry
			if err := a.call(ctx, "GET", d.path(args[0], "/ledger"), nil, &out); err != nil {
				return err
			}
			return d.env.print(d.out, out, func(w *tabwriter.Writer) {
				row(w, "DONE", "OUTCOME", "VERSION", "RECORDS", "BYTES", "ATTEMPTS", "OBJECTS")
				for _, x := range out {
					first := ""
					if len(x.Objects) > 0 {
						first = x.Objects[0].Bucket + "/" + x.Objects[0].Key
					}
					if len(x.Objects) > 1 {
						first += fmt.Sprintf(" and %d more", len(x.Objects)-1)
					}
					row(w, at(x.Done), x.Outcome, x.Version, x.Records, x.Bytes, x.Attempts, first)
				}
			})
		})
}

func (e Env) firehoseWhere() *cobra.Command {
	return e.firehoseAdmin("where NAME RECORDID", "Say what became of a record", "  thalweg firehose where events AAAAAAAAAAEAAAAAAAAAAAAAAAAAAAAA",
		exactly("a NAME", "a RECORDID"), nil,
		func(ctx context.Context, d *delivery, a *admin, args []string) error {
			var out struct {
				Stored  bool         `json:"stored"`
				Pending bool         `json:"pending"`
				Plan    *batchPlan   `json:"plan,omitempty"`
				Entry   *ledgerEntry `json:"entry,omitempty"`
			}
			if err := a.call(ctx, "GET", d.path(args[0], "/records/"+url.PathEscape(args[1])), nil, &out); err != nil {
				return err
			}
			return d.env.print(d.out, out, func(w *tabwriter.Writer) {
				switch {
				case out.Entry != nil:
					row(w, out.Entry.Outcome, "in batch "+out.Entry.ID+", "+at(out.Entry.Done))
					for _, o := range append(out.Entry.Objects, out.Entry.Errors...) {
						row(w, "", o.Bucket+"/"+o.Key)
					}
				case out.Plan != nil:
					row(w, "on its way", "in batch "+out.Plan.ID)
				case out.Pending:
					row(w, "stored", "and not in a batch yet")
				case out.Stored:
					row(w, "stored", "and delivered longer ago than the ledger goes back")
				default:
					row(w, "unknown", "it is neither stored nor in the ledger")
				}
			})
		})
}

func (e Env) firehoseReplay() *cobra.Command {
	var since string
	return e.firehoseAdmin("replay NAME --since TIME", "Deliver again, in new batches, what arrived since a time and is still stored",
		"  thalweg firehose replay events --since 2026-01-02T15:00:00Z", exactly("a NAME"),
		func(c *cobra.Command) {
			c.Flags().StringVar(&since, "since", "", "`TIME` in the form 2026-01-02T15:04:05Z")
		},
		func(ctx context.Context, d *delivery, a *admin, args []string) error {
			from, err := time.Parse(time.RFC3339, since)
			if err != nil {
				return usagef("give --since 2026-01-02T15:04:05Z", "%q is not a time", since)
			}
			var out explanation
			if err := a.call(ctx, "POST", d.path(args[0], "/replay"), app.ReplayFrom{Since: from}, &out); err != nil {
				return err
			}
			return d.show(out)
		})
}

func (e Env) firehoseFlush() *cobra.Command {
	return e.firehoseAdmin("flush NAME", "Deliver at once what is there, and wait until it is", "  thalweg firehose flush events", exactly("a NAME"), nil,
		func(ctx context.Context, d *delivery, a *admin, args []string) error {
			var out explanation
			if err := a.call(ctx, "POST", d.path(args[0], "/flush"), nil, &out); err != nil {
				return err
			}
			return d.show(out)
		})
}
