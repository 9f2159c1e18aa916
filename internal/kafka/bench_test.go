package kafka

import (
	"bytes"
	"net"
	"strings"
	"testing"
	"time"

	"thalweg/internal/log/batch"
)

// BenchmarkProduce is one connection that produces batches of 1,000 records of
// 1 KiB, four requests ahead, to a log in memory: what the door and the checks cost
// beside the disk. ns/op is per batch, so its thousandth is per record.
func BenchmarkProduce(b *testing.B) {
	s := newServer(b, 1, nil)
	mustCreate(b, s.client(b), "game", 1, "max.message.bytes", "2000000", "retention.bytes", "16000000")
	var builder batch.Builder
	value := []byte(strings.Repeat("x", 1024))
	for range 1000 {
		builder.Append(batch.Record{Value: value, Timestamp: time.Now().UnixMilli()})
	}
	frame := produceFrame("game", 0, -1, bytes.Clone(builder.Finish()), 1)
	nc, err := net.Dial("tcp", s.addr)
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	r := &raw{b, nc}
	b.SetBytes(int64(len(frame)))
	const ahead = 4
	b.ResetTimer()
	for i := range b.N + ahead {
		if i >= ahead {
			r.read()
		}
		if i < b.N {
			r.write(frame)
		}
	}
}
