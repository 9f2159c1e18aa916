package kafka

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"thalweg/tests/harness"
	"thalweg/tests/sdk"
)

// TestEncryptedTwoDoors encrypts a stream and a topic: both doors read what either
// has written, and no file holds it.
func TestEncryptedTwoDoors(t *testing.T) {
	server := harness.ForTest(t, harness.Options{})
	kin := sdk.Client(server.URL(), sdk.NoRetry)
	kaf := newClient(t, server)
	names := []string{"made-by-kinesis", "made-by-kafka"}
	if _, err := sdk.CreateStream(t.Context(), kin, names[0], 2); err != nil {
		t.Fatal(err)
	}
	createTopic(t, kaf, names[1], 2)
	for _, name := range names {
		if _, err := kin.StartStreamEncryption(t.Context(), &kinesis.StartStreamEncryptionInput{
			StreamName: &name, EncryptionType: types.EncryptionTypeKms, KeyId: aws.String("alias/" + name),
		}); err != nil {
			t.Fatal(err)
		}
		throughBoth(t, server, kin, kaf, name)
	}
	if err := errors.Join(server.Kill(), server.Verify(t.Context())); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(server.DataDir(), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte("from kinesis")) || bytes.Contains(b, []byte("from kafka")) {
			t.Errorf("%s holds records in the clear", path)
		}
		return err
	})
	if err := errors.Join(err, server.Restart(t.Context())); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		records := append(drainShard(t, kin, name, "shardId-000000000000"), drainShard(t, kin, name, "shardId-000000000001")...)
		for _, r := range records {
			if r.EncryptionType != types.EncryptionTypeKms {
				t.Errorf("%s: record %s has the encryption type %q", name, *r.SequenceNumber, r.EncryptionType)
			}
		}
		if read := drain(t, server, name, 2); len(records) == 0 || len(read[0])+len(read[1]) != len(records) {
			t.Errorf("%s: Kinesis reads %d records, Kafka %d and %d", name, len(records), len(read[0]), len(read[1]))
		}
	}
}
