// Package demo is an online game whose players' events flow through a stream to
// two applications, each reading it independently: a live leaderboard and an
// archive of files. It talks to a server over HTTP as any application would, and
// ends by checking that what went in is what came out, for both.
package demo

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"thalweg/internal/client"
	"thalweg/internal/clock"
	"thalweg/internal/lifecycle"
	"thalweg/internal/vfs"
)

// Options say what to run and where. Those without a default are needed.
type Options struct {
	// Dial returns a client; each application makes one of its own.
	Dial  func() (*client.Client, error)
	Clock clock.Clock
	FS    vfs.FS
	// Stream is made with Shards shards when it does not exist.
	Stream string
	Shards int32
	// InOrder is client.ProducerConfig.PerKey == 0: the server refuses from a
	// record on.
	InOrder bool
	Source  Source
	// Title says what the source is.
	Title string
	// Speed is how fast the game's clock runs; 0 is as fast as events are taken.
	Speed float64
	// Dest is the archive's folder.
	Dest string
	// Duration ends the run; 0 is when the source ends or ctx does.
	Duration time.Duration
	// Screen shows the run; nil shows nothing but the result.
	Screen *Screen
	// Out gets the result.
	Out io.Writer
}

const (
	tick      = 10 * time.Millisecond // how often due events are put
	readIdle  = 15 * time.Millisecond // pause of a reader at the tip
	drainTime = 30 * time.Second      // how long the rest may take to arrive
	stopTime  = 5 * time.Second       // how long a reader may take to notice its end
)

// run is one run of the demo.
type run struct {
	Options
	id       string
	began    time.Time
	producer *client.Producer
	put      hist
	sent     *tally
	board    *board
	archive  *archive
	readers  *lifecycle.Group
	shards   []types.Shard // there were at the beginning
	clients  []*client.Client
}

// Run lets the game flow until its source, Duration or ctx ends, then checks
// and reports. It fails when anything went wrong or is missing.
func Run(ctx context.Context, o Options) error {
	r := &run{Options: o, sent: newTally()}
	defer r.close()
	if err := r.prepare(ctx); err != nil {
		return err
	}
	playing, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	unhook := context.AfterFunc(r.readers.Context(), func() { stop(context.Cause(r.readers.Context())) })
	defer unhook()

	screen := lifecycle.NewGroup(context.Background())
	if o.Screen != nil {
		screen.Go("screen", r.show)
	}
	err := r.play(playing)
	if serr := screen.Stop(context.Background()); err == nil {
		err = serr
	}
	if err != nil {
		return err
	}
	if o.Screen != nil {
		fmt.Fprintln(o.Out, "The players have stopped. Waiting for the last events, and checking.")
	}
	if err := r.drain(); err != nil {
		return err
	}
	return r.report()
}

// prepare makes the stream and starts the applications, whose places in the
// stream are pinned before the first event is put.
func (r *run) prepare(ctx context.Context) error {
	var id [4]byte
	_, _ = rand.Read(id[:]) // never fails
	r.id = hex.EncodeToString(id[:])

	c, err := r.dial()
	if err != nil {
		return err
	}
	_, err = c.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: aws.String(r.Stream), ShardCount: aws.Int32(r.Shards)})
	if err != nil && client.Code(err) != "ResourceInUseException" {
		return fmt.Errorf("create stream %s: %w", r.Stream, err)
	}
	if err := c.WaitActive(ctx, r.Stream); err != nil {
		return err
	}
	if r.shards, err = c.ListAllShards(ctx, r.Stream); err != nil {
		return fmt.Errorf("list shards of %s: %w", r.Stream, err)
	}

	r.readers = lifecycle.NewGroup(context.WithoutCancel(ctx))
	r.board = newBoard(r.id, r.Clock)
	if r.archive, err = newArchive(r.FS, r.Dest, r.id, r.Clock); err != nil {
		return err
	}
	if err := r.read(ctx, "leaderboard", r.board.start, r.board.page); err != nil {
		return err
	}
	if err := r.read(ctx, "archive", r.archive.start, r.archive.page); err != nil {
		return err
	}

	cfg := client.ProducerConfig{API: c, Stream: r.Stream, Clock: r.Clock, PerKey: 1,
		OnAck:  r.acknowledged,
		OnCall: func(_ int, took time.Duration) { r.put.add(took) },
	}
	if r.InOrder {
		cfg.PerKey = 0
	}
	r.producer = client.NewProducer(cfg)
	r.began = r.Clock.Now()
	return nil
}

func (r *run) dial() (*client.Client, error) {
	c, err := r.Dial()
	if err == nil {
		r.clients = append(r.clients, c)
	}
	return c, err
}

// read starts an application.
func (r *run) read(ctx context.Context, name string, start func(string, bool) (client.Start, error), page func(client.Page) error) error {
	c, err := r.dial()
	if err != nil {
		return err
	}
	reader := &client.Reader{
		API: c, Clock: r.Clock, Stream: r.Stream, Start: start, Page: page, Idle: readIdle,
		List: func(ctx context.Context) ([]types.Shard, error) { return c.ListAllShards(ctx, r.Stream) },
	}
	if err := reader.Open(ctx, r.shards); err != nil {
		return fmt.Errorf("%s: open %s: %w", name, r.Stream, err)
	}
	r.readers.Go(name, reader.Read)
	return nil
}

// acknowledged counts an event as in.
func (r *run) acknowledged(a client.Ack) {
	var h header
	if err := json.Unmarshal(a.Data, &h); err == nil {
		r.sent.add(&h, a.Data)
	}
}

// play puts events as they fall due. The end of ctx or of Duration is no error,
// unless a reader failed.
func (r *run) play(ctx context.Context) error {
	if r.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.Duration)
		defer cancel()
	}
	timer := r.Clock.NewTimer(0)
	defer timer.Stop()
	var batch []client.Record
	for {
		e, err := r.Source.Next()
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("events: %w", err)
		}
		ended := err != nil
		wait := r.until(e.At)
		if ended || wait > 0 || len(batch) >= 500 {
			if perr := r.producer.Put(ctx, batch...); perr != nil && ctx.Err() == nil {
				return fmt.Errorf("put: %w", perr)
			}
			batch = batch[:0]
		}
		if ended {
			return nil
		}
		if wait > 0 {
			timer.Reset(max(wait, tick))
			select {
			case <-timer.C():
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			return r.readers.Err()
		}
		batch = append(batch, client.Record{Key: e.Player, Data: stamp(e.Body, r.id, r.Clock.Now())})
	}
}

// until returns how long it is until the game's clock shows at.
func (r *run) until(at time.Duration) time.Duration {
	if r.Speed == 0 {
		return 0
	}
	return time.Duration(float64(at)/r.Speed) - r.Clock.Now().Sub(r.began)
}

// drain waits until all that was put is acknowledged and both applications have
// seen the tip of every shard after that, and ends them.
func (r *run) drain() error {
	ctx, cancel := context.WithTimeout(r.readers.Context(), drainTime)
	defer cancel()
	if err := r.producer.Flush(ctx); err != nil {
		return errors.Join(fmt.Errorf("put: %w", err), r.readers.Err())
	}
	r.board.lag.reset()
	r.archive.lag.reset()
	timer := r.Clock.NewTimer(tick)
	defer timer.Stop()
	for !r.board.lag.drained() || !r.archive.lag.drained() {
		select {
		case <-timer.C():
			timer.Reset(tick)
		case <-ctx.Done():
			if err := r.readers.Err(); err != nil {
				return err
			}
			return fmt.Errorf("the applications did not reach the end of the stream within %v", drainTime)
		}
	}
	if err := r.stopReaders(); err != nil {
		return err
	}
	return r.archive.close()
}

func (r *run) stopReaders() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	return r.readers.Stop(ctx)
}

// report compares what went in with what came out and says so.
func (r *run) report() error {
	stored, err := r.archive.readBack()
	if err != nil {
		return err
	}
	stats := r.producer.Stats()
	repeats := stats.Resent > 0
	_, files, size := r.archive.stats()
	putP50, putP99 := r.put.whole(.5, .99)
	rows := [][2]string{
		{"sent", fmt.Sprintf("%s events acknowledged in %s calls; put p50 %s, p99 %s",
			count(r.sent.count()), count(stats.Calls), span(putP50), span(putP99))},
		{"leaderboard", came(r.board.tally, r.sent, repeats, "read", &r.board.latency)},
		{"archive", came(stored, r.sent, repeats, fmt.Sprintf("read back from %d files, %s", files, bytesText(size)), &r.archive.latency)},
	}
	for _, row := range rows {
		fmt.Fprintf(r.Out, "%-12s %s\n", row[0], row[1])
	}
	var problems []error
	if r.sent.count() == 0 {
		problems = append(problems, errors.New("no event was put"))
	}
	if stats.Reordered > 0 {
		problems = append(problems, fmt.Errorf("the server stored %d records out of order", stats.Reordered))
	}
	if err := r.board.tally.compare(r.sent, repeats); err != nil {
		problems = append(problems, fmt.Errorf("leaderboard: %w", err))
	}
	if err := stored.compare(r.sent, repeats); err != nil {
		problems = append(problems, fmt.Errorf("archive: %w", err))
	}
	if len(problems) > 0 {
		return errors.Join(problems...)
	}
	fmt.Fprintf(r.Out, "%-12s every event in came out of both applications once, in order for each player\n", "PASS")
	return nil
}

// came describes what an application got.
func came(got, sent *tally, repeats bool, how string, latency *hist) string {
	p50, p99 := latency.whole(.5, .99)
	s := fmt.Sprintf("%s events %s; put to receive p50 %s, p99 %s", count(got.count()), how, span(p50), span(p99))
	if got.repeats > 0 && repeats {
		s += fmt.Sprintf("; %s repeats of calls that got no answer", count(got.repeats))
	}
	if err := got.compare(sent, repeats); err != nil {
		s += "; WRONG: " + err.Error()
	}
	return s
}

// close ends what runs. It is the only place that ends the readers after a
// failure.
func (r *run) close() {
	if r.producer != nil {
		ctx, cancel := context.WithTimeout(context.Background(), stopTime)
		defer cancel()
		_ = r.producer.Close(ctx)
	}
	if r.readers != nil {
		_ = r.stopReaders()
	}
	for _, c := range r.clients {
		c.Close()
	}
}
