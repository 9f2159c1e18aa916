// Package atrest looks for records in the files of the real binary: those of an
// encrypted stream are nowhere to be found, however the server was stopped.
package atrest

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"thalweg/tests/harness"
	"thalweg/tests/sdk"
)

var (
	rounds  = flag.Int("rounds", 4, "how often to stop or kill the server")
	acks    = flag.Int64("acks", 300, "calls to be acknowledged before each")
	writers = flag.Int("writers", 4, "concurrent writers to each stream")
	seed    = flag.Uint64("seed", 0, "seed of sizes and moments; 0 picks one")
)

// The streams. Their names stand in every record's data and partition key.
const (
	secret = "stream-that-is-encrypted"
	plain  = "stream-that-is-not"
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(harness.Main(m))
}

// book is what was acknowledged: data by stream and sequence number.
type book struct {
	mu   sync.Mutex
	puts map[string]map[string]string
}

func (b *book) note(stream, sequence, data string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.puts[stream][sequence] = data
}

func TestAtRest(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("seed %d", *seed)
	rng := rand.New(rand.NewPCG(*seed, 0))
	server := harness.ForTest(t, harness.Options{Args: []string{"--memory", "64MiB"}})
	client := sdk.Client(server.URL(), sdk.NoRetry)
	for _, name := range []string{secret, plain} {
		if _, err := sdk.CreateStream(t.Context(), client, name, 2); err != nil {
			t.Fatal(err)
		}
	}
	encrypt(t, client, "alias/aws/kinesis")
	told := &book{puts: map[string]map[string]string{secret: {}, plain: {}}}
	kills := 0
	for round := range *rounds {
		kill := round%2 == 0
		if kill {
			kills++
		}
		if err := write(t.Context(), server, client, told, rng, kill); err != nil {
			t.Fatal(err)
		}
		search(t, server.DataDir())
		if err := errors.Join(server.Verify(t.Context()), server.Restart(t.Context())); err != nil {
			t.Fatal(err)
		}
		read(t, client, told)
		if round < 20 { // a stream may have 25 keys in a day
			encrypt(t, client, fmt.Sprintf("alias/of-round-%d", round))
		}
	}

	// A backup is as good as its original, and as closed.
	copied := filepath.Join(t.TempDir(), "copy")
	run(t, "backup", "--data", server.DataDir(), copied)
	search(t, copied)
	restored := t.TempDir()
	run(t, "restore", copied, filepath.Join(restored, "data"))
	search(t, filepath.Join(restored, "data"))
	second := harness.ForTest(t, harness.Options{Dir: restored})
	read(t, sdk.Client(second.URL(), sdk.NoRetry), told)
	t.Logf("%d kills, %d orderly stops; %d records of the encrypted stream, none found; %d of the other, found",
		kills, *rounds-kills, len(told.puts[secret]), len(told.puts[plain]))
}

func encrypt(t *testing.T, client *kinesis.Client, key string) {
	t.Helper()
	name := secret
	_, err := client.StartStreamEncryption(t.Context(), &kinesis.StartStreamEncryptionInput{
		StreamName: &name, EncryptionType: types.EncryptionTypeKms, KeyId: &key,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// write puts to both streams from several writers until enough is acknowledged,
// and then stops or kills the server among them.
func write(ctx context.Context, server *harness.Server, client *kinesis.Client, told *book, rng *rand.Rand, kill bool) error {
	var acked atomic.Int64
	due, down := make(chan struct{}), make(chan struct{})
	base := rng.Uint64()
	return harness.Parallel(ctx, 2**writers+1, func(ctx context.Context, i int) error {
		if i == 2**writers {
			defer close(down)
			select {
			case <-due:
			case <-ctx.Done():
				return ctx.Err()
			}
			if kill {
				return server.Kill()
			}
			return server.Stop()
		}
		stream := []string{secret, plain}[i%2]
		rng := rand.New(rand.NewPCG(base, uint64(i)))
		for {
			if err := put(ctx, client, stream, told, rng); err != nil {
				select { // a call may fail because the server is going
				case <-due:
					<-down
					return nil
				default:
					return err
				}
			}
			if acked.Add(1) == *acks {
				close(due)
			}
		}
	})
}

// put puts a few records in one call.
func put(ctx context.Context, client *kinesis.Client, stream string, told *book, rng *rand.Rand) error {
	entries := make([]types.PutRecordsRequestEntry, 1+rng.IntN(20))
	for i := range entries {
		key := fmt.Sprintf("key of %s %d", stream, rng.IntN(1000))
		data := fmt.Sprintf("data of %s %d %s", stream, rng.Uint64(), strings.Repeat(".", rng.IntN(2000)))
		entries[i] = types.PutRecordsRequestEntry{PartitionKey: &key, Data: []byte(data)}
	}
	out, err := client.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: &stream, Records: entries})
	if err != nil {
		return err
	}
	if (out.EncryptionType == types.EncryptionTypeKms) != (stream == secret) {
		return fmt.Errorf("put to %s: EncryptionType %q", stream, out.EncryptionType)
	}
	for i, r := range out.Records {
		if r.ErrorCode == nil {
			told.note(stream, *r.SequenceNumber, string(entries[i].Data))
		}
	}
	return nil
}

// search looks into every file for the names that stand in the records.
func search(t *testing.T, dir string) {
	t.Helper()
	found := map[string]int{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, part := range []string{"data of ", "key of "} {
			for _, stream := range []string{secret, plain} {
				n := bytes.Count(b, []byte(part+stream))
				if found[part+stream] += n; n > 0 && stream == secret {
					t.Errorf("%s holds %q %d times", path, part+stream, n)
				}
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if found["data of "+plain] == 0 || found["key of "+plain] == 0 {
		t.Errorf("what is not encrypted was not found in %s either: %v", dir, found)
	}
}

// read wants every acknowledged record, with what it is stored as.
func read(t *testing.T, client *kinesis.Client, told *book) {
	t.Helper()
	for stream, want := range told.puts {
		found := 0
		shards, err := client.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: &stream})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range shards.Shards {
			at, err := client.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{
				StreamName: &stream, ShardId: s.ShardId, ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
			})
			if err != nil {
				t.Fatal(err)
			}
			for it := at.ShardIterator; it != nil; {
				page, err := client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: it})
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range page.Records {
					if (r.EncryptionType == types.EncryptionTypeKms) != (stream == secret) {
						t.Errorf("record %s of %s: EncryptionType %q", *r.SequenceNumber, stream, r.EncryptionType)
					}
					data, acked := want[*r.SequenceNumber]
					if acked && data != string(r.Data) {
						t.Errorf("record %s of %s is not what was put", *r.SequenceNumber, stream)
					}
					if acked {
						found++
					}
				}
				it = page.NextShardIterator
				if len(page.Records) == 0 && *page.MillisBehindLatest == 0 {
					break
				}
			}
		}
		if found != len(want) {
			t.Errorf("%s: %d of %d acknowledged records are there", stream, found, len(want))
		}
	}
}

// run runs a command of the binary.
func run(t *testing.T, args ...string) {
	t.Helper()
	bin, err := harness.Binary()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), bin, args...).CombinedOutput(); err != nil {
		t.Fatalf("thalweg %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
