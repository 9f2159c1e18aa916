package reshard

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"thalweg/tests/harness"
	"thalweg/tests/sdk"
)

// cli runs `thalweg stream ...` and returns what it printed.
func cli(ctx context.Context, t *testing.T, server *harness.Server, args ...string) string {
	t.Helper()
	bin, err := harness.Binary()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(ctx, bin, append([]string{"stream", "--endpoint", server.URL()}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("stream %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// TestTailFollows: `stream tail` prints every record once, those of each key in
// order, while `stream reshard` changes the shards under it, and one from the
// beginning prints the same afterwards.
func TestTailFollows(t *testing.T) {
	const keys, rounds, perRound = 20, 5, 8
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	server := harness.ForTest(t, harness.Options{Ephemeral: true})
	client := sdk.Client(server.URL())
	if _, err := sdk.CreateStream(ctx, client, stream, 1); err != nil {
		t.Fatal(err)
	}
	put := func(from int) {
		for n := from; n < from+perRound; n++ {
			entries := make([]types.PutRecordsRequestEntry, keys)
			for k := range entries {
				entries[k] = types.PutRecordsRequestEntry{Data: []byte(strconv.Itoa(n)), PartitionKey: aws.String(fmt.Sprint("key", k))}
			}
			if _, err := client.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: aws.String(stream), Records: entries}); err != nil {
				t.Fatal(err)
			}
		}
	}
	next := map[string]int{}
	see := func(line string) {
		t.Helper()
		var r struct {
			Key  string `json:"partition_key"`
			Data string `json:"data"`
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil || r.Data != strconv.Itoa(next[r.Key]) {
			t.Fatalf("%s is not the next, which is %d: %v", line, next[r.Key], err)
		}
		next[r.Key]++
	}

	bin, err := harness.Binary()
	if err != nil {
		t.Fatal(err)
	}
	const all = keys * perRound * (rounds + 1)
	tail := exec.CommandContext(ctx, bin, "stream", "--endpoint", server.URL(), "tail", stream, "--from", "trim-horizon", "-n", strconv.Itoa(all), "-o", "json")
	stdout, err := tail.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := tail.Start(); err != nil {
		t.Fatal(err)
	}
	put(0)
	for round, shards := range []int{8, 3, 5, 2, 4} {
		said := cli(ctx, t, server, "reshard", stream, "--shards", strconv.Itoa(shards), "-o", "json")
		var did struct {
			After int   `json:"after"`
			Steps []int `json:"steps"`
		}
		if err := json.Unmarshal([]byte(said), &did); err != nil || did.After != shards || did.Steps[len(did.Steps)-1] != shards {
			t.Fatalf("reshard to %d: %v: %s", shards, err, said)
		}
		put((round + 1) * perRound)
	}
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		see(lines.Text())
	}
	if err := tail.Wait(); err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, n := range next {
		total += n
	}
	if total != all || len(next) != keys {
		t.Fatalf("%d of %d records, %d of %d keys", total, all, len(next), keys)
	}
	clear(next)
	for line := range strings.Lines(cli(ctx, t, server, "tail", stream, "--from", "trim-horizon", "-n", strconv.Itoa(all), "-o", "json")) {
		see(line)
	}
	// One closed shard by itself has an end.
	if n := strings.Count(cli(ctx, t, server, "tail", stream, "--from", "trim-horizon", "--shard", "shardId-000000000000"), "\n"); n != keys*perRound {
		t.Errorf("the first shard printed %d lines", n)
	}
	said := cli(ctx, t, server, "reshard", stream, "--shards", "4")
	if !strings.Contains(said, "has 4 shards instead of 4") {
		t.Error(said)
	}
}
