package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"thalweg/tests/harness"
	"thalweg/tests/lean"
)

// startFigure is how a target starts.
type startFigure struct {
	Server string `json:"server"`
	// EmptyMillis is the median time from exec until it serves, with no data.
	EmptyMillis float64 `json:"empty_ms"`
	IdleRSS     int64   `json:"idle_rss_bytes"`
	Hot         *hot    `json:"after_kill,omitempty"`
	// IdleSubscriptions is what the server's memory grew by for as many as
	// idleName says, bytes.
	IdleSubscriptions int64 `json:"idle_subscriptions_bytes,omitempty"`
	// IdleHoses is what a server has resident that was started with as many delivery
	// streams as idleHosesName says, bytes.
	IdleHoses int64 `json:"idle_delivery_streams_rss_bytes,omitempty"`
}

// hot is a start after kill -9 with a full log.
type hot struct {
	Bytes       int64   `json:"log_bytes"`
	ReadyMillis float64 `json:"ready_ms"`
	RSS         int64   `json:"rss_bytes"`
}

// measureStart starts the target on empty data, again and again.
func measureStart(ctx context.Context, t target, o options, dir string) (startFigure, error) {
	var took []time.Duration
	n := o.starts
	if t.peer {
		n = min(n, 3)
	}
	for i := range n {
		s, err := t.start(ctx, filepath.Join(dir, fmt.Sprintf("start-%d", i)))
		if err != nil {
			return startFigure{}, err
		}
		took = append(took, s.took)
		if err := s.close(); err != nil {
			return startFigure{}, err
		}
	}
	slices.Sort(took)
	return startFigure{EmptyMillis: millis(quantile(took, 0.5))}, nil
}

// measureHot fills a stream with 1 KiB records up to total bytes, kills the
// server and starts it again.
func measureHot(ctx context.Context, s *server, total int64) (*hot, error) {
	signer := s.signer(true)
	if err := createStream(s, "hot", shardCount, false); err != nil {
		return nil, err
	}
	var written atomic.Int64
	err := harness.Parallel(ctx, putsConns, func(ctx context.Context, i int) error {
		requests := putsRequests(&signer, "hot", 1024, uint64(i))
		if i > 0 {
			own := s.signer(true)
			requests = putsRequests(&own, "hot", 1024, uint64(i))
		}
		conn, err := lean.Dial(s.addr)
		if err != nil {
			return err
		}
		defer conn.Close()
		for n := 0; written.Load() < total && ctx.Err() == nil; n++ {
			r, err := conn.Do(requests[n%len(requests)])
			if err := putsAnswer(r, err); err != nil {
				return err
			}
			written.Add(perPuts * 1024)
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	if err := s.thalweg.Kill(); err != nil {
		return nil, err
	}
	if err := s.thalweg.Restart(ctx); err != nil {
		return nil, err
	}
	mem, err := harness.MemoryOf(s.pid())
	if err != nil {
		return nil, err
	}
	h := &hot{Bytes: written.Load(), ReadyMillis: millis(s.thalweg.Took()), RSS: mem.RSS}
	fmt.Printf("start after kill -9 with %d MB of log: ready in %.0f ms\n", h.Bytes>>20, h.ReadyMillis)
	return h, nil
}
