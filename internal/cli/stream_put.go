package cli

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"thalweg/internal/client"
	"thalweg/internal/lifecycle"
)

// maxPutLine is the largest record of any stream, and its line end.
const maxPutLine = 10<<20 + 1

func (t *target) streamPut() *cobra.Command {
	var p putter
	c := &cobra.Command{Use: "put NAME", Short: "Put the lines of a file into a stream, one record a line",
		Long: `Put the lines of a file, or of standard input, into a stream, one record a line.
With --key the lines are JSON objects and that member is the partition key: the
records of one key are stored in the order of the lines, also when some have to
be put again. Without --key the lines are spread over the shards in no order.

When a call gets no answer it is made again, so its records may be stored twice;
the result says how many such calls there were.`,
		Example: "  thalweg stream put arena --file events.ndjson.gz --key player_id\n  echo '{\"player_id\":\"ann\"}' | thalweg stream put arena --key player_id",
		Args:    exactly("a NAME")}
	c.Flags().StringVar(&p.file, "file", "-", "`FILE` to read, .gz unpacked; - is standard input")
	c.Flags().StringVar(&p.key, "key", "", "`MEMBER` of each line's object that is the partition key")
	c.Flags().IntVar(&p.calls, "calls", 4, "calls under way at once")
	c.RunE = t.onStream(func(ctx context.Context, cl *client.Client, name string) error {
		if p.calls < 1 || p.calls > 256 {
			return usagef("", "--calls %d is not between 1 and 256", p.calls)
		}
		return p.run(ctx, t, cl, name)
	})
	return c
}

// putter is one `stream put`.
type putter struct {
	file, key string
	calls     int

	src      *meteredReader
	producer *client.Producer
	began    time.Time

	mu   sync.Mutex
	said time.Time // when waiting was last told; guarded by mu
}

// sayEvery is how long calls fail before that is told, and between two tellings.
const sayEvery = 3 * time.Second

type putResult struct {
	Stream           string  `json:"stream"`
	Records          int64   `json:"records"`
	Bytes            int64   `json:"bytes"`
	Seconds          float64 `json:"seconds"`
	RecordsPerSecond float64 `json:"records_per_second"`
	Calls            int64   `json:"calls"`
	PutAgain         int64   `json:"records_put_again"`
	Resent           int64   `json:"calls_resent"`
	Reordered        int64   `json:"records_reordered"`
}

func (p *putter) run(ctx context.Context, t *target, cl *client.Client, name string) error {
	if err := cl.WaitActive(ctx, name); err != nil {
		return err
	}
	in, size, err := t.env.open(p.file)
	if err != nil {
		return err
	}
	defer in.Close()
	p.src = &meteredReader{r: in, size: size}
	lines, err := unpacked(p.src)
	if err != nil {
		return fmt.Errorf("%s: %w", p.file, err)
	}
	cfg := client.ProducerConfig{API: cl, Stream: name, Clock: t.env.Clock, Calls: p.calls, PerKey: 1,
		OnWait: func(lastGood time.Time, why error) { p.waiting(t.env, lastGood, why) }}
	if p.key == "" || t.inOrder(ctx, cl) {
		cfg.PerKey = 0
	}
	p.producer = client.NewProducer(cfg)
	p.began = t.env.Clock.Now()
	bar := lifecycle.NewGroup(ctx)
	if _, ok := terminal(t.env.Stderr); ok && t.out == formatTable {
		bar.Go("progress", func(ctx context.Context) error { return p.progress(ctx, t.env) })
	}
	n, err := p.feed(ctx, lines)
	if err == nil {
		err = p.producer.Flush(ctx)
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if cerr := p.producer.Close(stop); err == nil {
		err = cerr
	}
	if berr := bar.Stop(stop); err == nil {
		err = berr
	}
	s := p.producer.Stats()
	if err != nil {
		return fmt.Errorf("%s of %s read were acknowledged: %w", grouped(s.Acked), plural(int(n), "record"), err)
	}
	return p.result(t, name, s)
}

// waiting tells why nothing moves, so that a server which is full or read-only
// is not taken for a slow one.
func (p *putter) waiting(e Env, lastGood time.Time, why error) {
	now := e.Clock.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(lastGood) < sayEvery || now.Sub(p.said) < sayEvery {
		return
	}
	p.said = now
	fmt.Fprintf(e.Stderr, "no record acknowledged for %.0f s, trying on: %v\n", now.Sub(lastGood).Seconds(), why)
}

func (p *putter) result(t *target, name string, s client.ProducerStats) error {
	took := t.env.Clock.Now().Sub(p.began).Seconds()
	r := putResult{Stream: name, Records: s.Acked, Bytes: s.AckedBytes, Seconds: took, RecordsPerSecond: float64(s.Acked) / took,
		Calls: s.Calls, PutAgain: s.Refused, Resent: s.Resent, Reordered: s.Reordered}
	err := t.env.print(t.out, r, func(w *tabwriter.Writer) {
		text := fmt.Sprintf("put %s, %s, in %.1f s (%s/s)", plural(int(r.Records), "record"), sizeText(r.Bytes), took, grouped(int64(r.RecordsPerSecond)))
		if r.PutAgain > 0 {
			text += fmt.Sprintf("; %s refused and put again", plural(int(r.PutAgain), "record"))
		}
		if r.Resent > 0 {
			text += fmt.Sprintf("; %s without an answer made again, their records may be there twice", plural(int(r.Resent), "call"))
		}
		row(w, text)
	})
	if err == nil && r.Reordered > 0 && p.key != "" {
		return &failure{msg: fmt.Sprintf("the server stored %s ahead of an earlier one of their key", plural(int(r.Reordered), "record"))}
	}
	return err
}

// feed gives every line to the producer and returns how many there were.
func (p *putter) feed(ctx context.Context, r io.Reader) (int64, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 256<<10), maxPutLine)
	var n int64
	var batch []client.Record
	for lines.Scan() {
		line := lines.Bytes()
		if len(line) == 0 {
			continue
		}
		n++
		key := strconv.FormatInt(n, 10)
		if p.key != "" {
			var err error
			if key, err = keyOf(line, p.key); err != nil {
				return n, fmt.Errorf("line %d: %w", n, err)
			}
		}
		batch = append(batch, client.Record{Key: key, Data: append([]byte(nil), line...)})
		if len(batch) == 128 {
			if err := p.producer.Put(ctx, batch...); err != nil {
				return n, err
			}
			batch = batch[:0]
		}
	}
	if err := lines.Err(); err != nil {
		return n, fmt.Errorf("line %d: %w", n+1, err)
	}
	return n, p.producer.Put(ctx, batch...)
}

// progress draws a bar until ctx ends, and removes it.
func (p *putter) progress(ctx context.Context, e Env) error {
	timer := e.Clock.NewTimer(0)
	defer timer.Stop()
	defer io.WriteString(e.Stderr, "\r\x1b[K")
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C():
			timer.Reset(200 * time.Millisecond)
		}
		s, took := p.producer.Stats(), e.Clock.Now().Sub(p.began).Seconds()
		text := fmt.Sprintf("%s records, %s, %s/s", grouped(s.Acked), sizeText(s.AckedBytes), grouped(int64(float64(s.Acked)/max(took, 0.001))))
		if share, ok := p.src.share(); ok {
			const width = 30
			full := int(share * width)
			text = fmt.Sprintf("[%s%s] %3.0f%%  %s", strings.Repeat("=", full), strings.Repeat(" ", width-full), share*100, text)
		}
		if s.Refused > 0 || s.Resent > 0 {
			text += fmt.Sprintf(", %s put again, %s calls resent", grouped(s.Refused), grouped(s.Resent))
		}
		fmt.Fprint(e.Stderr, "\r"+text+"\x1b[K")
	}
}

// open opens a file, or standard input for "-", and returns its size, 0 when
// that is unknown.
func (e Env) open(name string) (io.ReadCloser, int64, error) {
	if name == "-" {
		if _, ok := terminal(e.Stdin); ok {
			fmt.Fprintln(e.Stderr, "reading lines from the terminal; Ctrl-D ends")
		}
		return io.NopCloser(e.Stdin), 0, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil || info.IsDir() {
		f.Close()
		return nil, 0, errors.Join(err, fmt.Errorf("%s is not a file", name))
	}
	return f, info.Size(), nil
}

// unpacked returns what r holds, through gzip when it starts like one.
func unpacked(r io.Reader) (io.Reader, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	head, err := b.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if string(head) == "\x1f\x8b" {
		return gzip.NewReader(b)
	}
	return b, nil
}
