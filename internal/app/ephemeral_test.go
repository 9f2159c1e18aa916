package app

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"thalweg/internal/vfs"
)

// A server in memory takes records until they fill their half of --memory, says
// so, reads on, and writes again once there is room.
func TestEphemeralKeepsWithinMemory(t *testing.T) {
	const memory = 64 << 20
	c := testConfig(t)
	c.Ephemeral, c.Memory = true, memory
	s := mustStart(t, c)
	for _, name := range []string{"s", "other"} {
		if status, body := call(t, s, "CreateStream", `{"StreamName":"`+name+`","ShardCount":1}`); status != 200 {
			t.Fatalf("CreateStream: %d %s", status, body)
		}
	}
	put := func(stream string) (int, string) {
		data := base64.StdEncoding.EncodeToString(make([]byte, 1<<20))
		return call(t, s, "PutRecord", fmt.Sprintf(`{"StreamName":"%s","PartitionKey":"k","Data":"%s"}`, stream, data))
	}
	n := 0
	for ; n < memory>>20; n++ {
		since := s.log.Stats().SinceCheckpoint
		status, body := put("s")
		for status != 200 && since > 0 && t.Context().Err() == nil {
			since = s.log.Stats().SinceCheckpoint // a checkpoint frees what the WAL holds twice
			status, body = put("s")
		}
		if status != 200 {
			if status != 500 || !strings.Contains(body, "no space") {
				t.Errorf("refused with %d %s", status, body)
			}
			break
		}
	}
	if n < memory>>22 || n > memory>>21 {
		t.Errorf("%d MiB were taken with %d MiB of memory", n, memory>>20)
	}
	if used := s.fs.(*vfs.Mem).Used(); used > memory/2+memoryFileBytes {
		t.Errorf("%d MiB are held", used>>20)
	}
	if _, body := send(t, "GET", s.Addresses().HTTP+"/_thalweg/health", ""); !strings.Contains(body, `"full"`) || !strings.Contains(body, "--memory") {
		t.Errorf("health: %s", body)
	}
	if status, body := call(t, s, "DescribeStream", `{"StreamName":"s"}`); status != 200 {
		t.Errorf("reading: %d %s", status, body)
	}
	if status, body := call(t, s, "DeleteStream", `{"StreamName":"s"}`); status != 200 {
		t.Fatalf("DeleteStream: %d %s", status, body)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		status, body := put("other")
		if status == 200 {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("no room after a stream was deleted: %d %s", status, body)
		}
	}
}
