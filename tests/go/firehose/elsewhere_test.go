package firehose

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/twmb/franz-go/pkg/kgo"
	iam "github.com/twmb/franz-go/pkg/sasl/aws"

	"thalweg/tests/events"
	"thalweg/tests/harness"
)

const farCluster = "arn:aws:kafka:us-east-1:111111111111:cluster/far/11111111-2222-3333-4444-555555555555-1"

// TestTopicElsewhere delivers a topic of a Kafka cluster elsewhere, over TLS and with an
// access key of its own, while a transactional producer fills it and both servers are
// killed: what was committed is there once.
func TestTopicElsewhere(t *testing.T) {
	t.Setenv("AWS_REGION", "us-east-1")
	set, err := events.Load(harness.Root(), 20_000)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(set.Origin)
	far := harness.ForTest(t, harness.Options{Args: []string{"--auth", "strict", "--region", "us-east-1", "--listen-kafka", "SASL_SSL://" + free(t)}})
	key, err := far.CreateKey(t.Context(), "000000000000")
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(far.DataDir(), "ca.pem")
	pem, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	client, err := kgo.NewClient(kgo.SeedBrokers(far.Ready().KafkaListeners[0].Advertised), kgo.DialTLSConfig(&tls.Config{RootCAs: pool}),
		kgo.SASL(iam.Auth{AccessKey: key.AccessKey, SecretKey: key.SecretKey}.AsManagedStreamingIAMMechanism()),
		kgo.AllowAutoTopicCreation(), kgo.DefaultProduceTopic("arena"), kgo.TransactionalID("far"), kgo.ProducerBatchCompression(kgo.ZstdCompression()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := transaction(t.Context(), client, kgo.TryAbort, [][]byte{[]byte("aborted\n")}); err != nil {
		t.Fatal(err)
	}
	sources := filepath.Join(t.TempDir(), "sources.json")
	doc, err := json.Marshal([]map[string]any{{"arn": farCluster, "accounts": []string{"000000000000"},
		"brokers": []string{far.Ready().KafkaListeners[0].Advertised}, "tls": true, "ca": ca,
		"sasl": map[string]string{"mechanism": "AWS_MSK_IAM", "access_key": key.AccessKey, "secret_key": key.SecretKey}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(sources, doc, 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSuite(t, "--kafka-sources", sources)
	s.create("own", "own/", func(in *firehose.CreateDeliveryStreamInput) {
		in.DeliveryStreamType = types.DeliveryStreamTypeMSKAsSource
		in.MSKSourceConfiguration = &types.MSKSourceConfiguration{MSKClusterARN: aws.String(farCluster), TopicName: aws.String("arena"),
			ReadFromTimestamp: aws.Time(time.Unix(0, 0)),
			AuthenticationConfiguration: &types.AuthenticationConfiguration{Connectivity: types.ConnectivityPrivate,
				RoleARN: aws.String("arn:aws:iam::000000000000:role/firehose")}}
	})
	var committed atomic.Int64
	err = harness.Parallel(t.Context(), 2, func(ctx context.Context, i int) error {
		if i == 0 {
			return produceAll(ctx, client, set.Events, &committed)
		}
		for k, server := range []*harness.Server{s.server, far, s.server, far} {
			for committed.Load() < int64(len(set.Events)*(k+1)/6) {
				if err := pause(ctx); err != nil {
					return err
				}
			}
			if err := server.Kill(); err != nil {
				return err
			}
			if err := server.Restart(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.flush("own")
	all := s.objects("")
	for name, body := range all {
		if strings.Contains(string(body), "aborted") {
			t.Errorf("%s has what was aborted", name)
		}
	}
	check(t, "read elsewhere", all, "own/", set, nil)
}

// free is an address on which nothing listens, for a server that is to come back to it.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// produceAll commits events in transactions of 500; one whose end is not known is not
// begun again before it is.
func produceAll(ctx context.Context, client *kgo.Client, list []events.Event, committed *atomic.Int64) error {
	for len(list) > 0 {
		n := min(500, len(list))
		var lines [][]byte
		for _, e := range list[:n] {
			lines = append(lines, append(e.Data(0), '\n'))
		}
		if err := transaction(ctx, client, kgo.TryCommit, lines); err != nil {
			return err
		}
		committed.Add(int64(n))
		list = list[n:]
	}
	return nil
}

func transaction(ctx context.Context, client *kgo.Client, end kgo.TransactionEndTry, lines [][]byte) error {
	if err := client.BeginTransaction(); err != nil {
		return err
	}
	var records []*kgo.Record
	for _, l := range lines {
		records = append(records, &kgo.Record{Value: l})
	}
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return err
	}
	return client.EndTransaction(ctx, end)
}
