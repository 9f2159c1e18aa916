package cli

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
)

type topicPutResult struct {
	Topic   string  `json:"topic"`
	Records int64   `json:"records"`
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"seconds"`
}

func (t *cluster) topicPut() *cobra.Command {
	var file, key string
	c := &cobra.Command{Use: "put NAME", Short: "Produce the lines of a file to a topic, one record a line",
		Long: `Produce the lines of a file, or of standard input, to a topic, one record a line.
With --key the lines are JSON objects and that member is the record's key: the
records of one key go to one partition, in the order of the lines. The producer
is idempotent: a record is stored once, however often it had to be sent.`,
		Example: "  thalweg topic put arena --file events.ndjson.gz --key player_id", Args: exactly("a NAME")}
	c.Flags().StringVar(&file, "file", "-", "`FILE` to read, .gz unpacked; - is standard input")
	c.Flags().StringVar(&key, "key", "", "`MEMBER` of each line's object that is the record's key")
	c.RunE = t.run(func(ctx context.Context, cl *kgo.Client, args []string) error {
		if _, err := topics(ctx, cl, args[0]); err != nil {
			return err
		}
		in, _, err := t.env.open(file)
		if err != nil {
			return err
		}
		defer in.Close()
		lines, err := unpacked(in)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		began := t.env.Clock.Now()
		r := topicPutResult{Topic: args[0]}
		err = produceLines(ctx, cl, lines, key, &r)
		r.Seconds = t.env.Clock.Now().Sub(began).Seconds()
		if err != nil {
			return fmt.Errorf("%s were acknowledged: %w", plural(int(r.Records), "record"), err)
		}
		return t.env.print(t.out, r, func(w *tabwriter.Writer) {
			row(w, fmt.Sprintf("produced %s, %s, in %.1f s (%s/s)", plural(int(r.Records), "record"), sizeText(r.Bytes), r.Seconds,
				grouped(int64(float64(r.Records)/max(r.Seconds, 0.001)))))
		})
	})
	return c
}

// produceLines sends every line and waits for all; r counts what was acknowledged.
func produceLines(ctx context.Context, cl *kgo.Client, in io.Reader, key string, r *topicPutResult) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 256<<10), maxPutLine)
	var mu sync.Mutex
	var failed error
	for n := 1; lines.Scan(); n++ {
		line := append([]byte(nil), lines.Bytes()...)
		if len(line) == 0 {
			continue
		}
		rec := &kgo.Record{Topic: r.Topic, Value: line}
		if key != "" {
			k, err := keyOf(line, key)
			if err != nil {
				failed = errors.Join(fmt.Errorf("line %d: %w", n, err), cl.Flush(ctx))
				return failed
			}
			rec.Key = []byte(k)
		}
		cl.Produce(ctx, rec, func(rec *kgo.Record, err error) {
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				if failed == nil {
					failed = err
				}
				return
			}
			r.Records++
			r.Bytes += int64(len(rec.Value))
		})
	}
	err := errors.Join(lines.Err(), cl.Flush(ctx))
	mu.Lock()
	defer mu.Unlock()
	return errors.Join(err, failed)
}

func (t *cluster) topicTail() *cobra.Command {
	var from string
	var only int32
	var n int64
	c := &cobra.Command{Use: "tail NAME", Short: "Print records as they arrive, one a line",
		Long: `Print records as they arrive, one a line, those of one partition in order.
A record that is not text on one line is printed as a JSON string, or as base64:
and its bytes. With -o json each line is an object that also holds the partition,
the offset, the key, the headers and the time.`,
		Example: "  thalweg topic tail arena --from earliest -n 10 -o json", Args: exactly("a NAME")}
	c.Flags().StringVar(&from, "from", "latest", "`PLACE` to begin at: earliest, latest, a time (2006-01-02T15:04:05Z, -5m) or an offset")
	c.Flags().Int32Var(&only, "partition", -1, "read this partition only")
	c.Flags().Int64VarP(&n, "count", "n", 0, "end after this many records; 0 is never")
	c.RunE = t.run(func(ctx context.Context, cl *kgo.Client, args []string) error {
		at, err := parsePlace(from, t.env.Clock.Now())
		if err != nil {
			return err
		}
		list, err := topics(ctx, cl, args[0])
		if err != nil {
			return err
		}
		place := map[int32]kgo.Offset{}
		for _, p := range list[0].Partitions {
			if only < 0 || p.Partition == only {
				place[p.Partition] = at
			}
		}
		if len(place) == 0 {
			return usagef("", "topic %s has no partition %d", args[0], only)
		}
		cl.AddConsumePartitions(map[string]map[int32]kgo.Offset{args[0]: place})
		return t.tail(ctx, cl, n)
	})
	return c
}

// parsePlace reads --from.
func parsePlace(from string, now time.Time) (kgo.Offset, error) {
	o := kgo.NewOffset()
	switch from {
	case "earliest":
		return o.AtStart(), nil
	case "latest":
		return o.AtEnd(), nil
	}
	if n, err := strconv.ParseInt(from, 10, 64); err == nil && n >= 0 {
		return o.At(n), nil
	}
	if d, err := time.ParseDuration(from); err == nil && d < 0 {
		return o.AfterMilli(now.Add(d).UnixMilli()), nil
	}
	at, err := time.Parse(time.RFC3339, from)
	if err != nil {
		return o, usagef("write earliest, latest, 2026-01-31T12:00:00Z, -5m or an offset", "--from %q is no place in a topic", from)
	}
	return o.AfterMilli(at.UnixMilli()), nil
}

type topicRecord struct {
	Partition int32             `json:"partition"`
	Offset    int64             `json:"offset"`
	Time      time.Time         `json:"time"`
	Key       *string           `json:"key"`
	Headers   map[string]string `json:"headers,omitempty"`
	// Data is set for text, DataBase64 for anything else; neither for null.
	Data       *string `json:"data,omitempty"`
	DataBase64 *string `json:"data_base64,omitempty"`
}

func (t *cluster) tail(ctx context.Context, cl *kgo.Client, n int64) error {
	out := bufio.NewWriter(t.env.Stdout)
	for left := n; ; {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil
		}
		for _, e := range fetches.Errors() {
			return e.Err
		}
		for it := fetches.RecordIter(); !it.Done(); {
			if err := t.printRecord(out, it.Next()); err != nil {
				return err
			}
			if left--; left == 0 {
				return out.Flush()
			}
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
}

func (t *cluster) printRecord(w io.Writer, r *kgo.Record) error {
	if t.out != formatJSON {
		_, err := io.WriteString(w, dataLine(r.Value)+"\n")
		return err
	}
	o := topicRecord{Partition: r.Partition, Offset: r.Offset, Time: r.Timestamp.UTC()}
	if r.Key != nil {
		k := dataLine(r.Key)
		o.Key = &k
	}
	for _, h := range r.Headers {
		if o.Headers == nil {
			o.Headers = map[string]string{}
		}
		o.Headers[h.Key] = dataLine(h.Value)
	}
	switch {
	case r.Value == nil:
	case utf8.Valid(r.Value):
		s := string(r.Value)
		o.Data = &s
	default:
		s := base64.StdEncoding.EncodeToString(r.Value)
		o.DataBase64 = &s
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(o)
}
