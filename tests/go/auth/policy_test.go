package auth

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"thalweg/tests/harness"
	"thalweg/tests/sdk"
)

const guest = "210987654321"

// TestPolicy shares a stream with another account, in both modes, and takes it
// back: what the policy allows goes through, nothing else does, and a deny holds
// for the owner as well.
func TestPolicy(t *testing.T) {
	for _, mode := range []string{"open", "strict"} {
		t.Run(mode, func(t *testing.T) {
			server := harness.ForTest(t, harness.Options{Args: []string{"--auth", mode}})
			client := func(account string) *kinesis.Client {
				if mode == "open" {
					return sdk.Client(server.URL(), sdk.NoRetry, sdk.As(account, "test"))
				}
				key, err := server.CreateKey(t.Context(), account)
				if err != nil {
					t.Fatal(err)
				}
				return sdk.Client(server.URL(), sdk.NoRetry, sdk.As(key.AccessKey, key.SecretKey))
			}
			s := shared{t: t, owner: client(account), guest: client(guest),
				arn: "arn:aws:kinesis:" + sdk.Region + ":" + account + ":stream/shared"}
			if _, err := sdk.CreateStream(t.Context(), s.owner, "shared", 2); err != nil {
				t.Fatal(err)
			}
			const refused = "AccessDeniedException"
			want := func(what string, err error, code string) {
				t.Helper()
				if got := codeOf(err); got != code {
					t.Errorf("%s: got %v, want %q", what, err, code)
				}
			}
			err := s.put(s.guest)
			want("put without a policy", err, refused)
			text := "User: arn:aws:iam::" + guest + ":root is not authorized to perform: kinesis:PutRecord on resource: " + s.arn +
				" because no resource-based policy allows the kinesis:PutRecord action"
			if messageOf(err) != text {
				t.Errorf("got %q\nwant %q", messageOf(err), text)
			}
			want("get without a policy", s.get(s.guest), refused)

			s.attach("Allow", guest, "kinesis:PutRecord", "kinesis:PutRecords", "kinesis:DescribeStreamSummary")
			want("put", s.put(s.guest), "")
			want("get", s.get(s.guest), refused)
			_, err = s.guest.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("shared"), PartitionKey: aws.String("k"), Data: []byte("x")})
			want("put by name", err, "ResourceNotFoundException") // a name is the caller's own
			_, err = s.guest.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamARN: &s.arn})
			want("describe", err, "")
			_, err = s.guest.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamARN: &s.arn})
			want("delete", err, refused)
			_, err = s.guest.GetResourcePolicy(t.Context(), &kinesis.GetResourcePolicyInput{ResourceARN: &s.arn})
			want("read the policy", err, refused)
			want("put by the owner", s.put(s.owner), "")

			s.attach("Allow", guest, "kinesis:Get*", "kinesis:ListShards")
			want("get", s.get(s.guest), "")
			want("put once it is not allowed any more", s.put(s.guest), refused)

			list := func(c *kinesis.Client, token *string) (*string, error) {
				in := &kinesis.ListShardsInput{NextToken: token, MaxResults: aws.Int32(1), StreamARN: &s.arn}
				out, err := c.ListShards(t.Context(), in)
				if err != nil {
					return nil, err
				}
				return out.NextToken, nil
			}
			token, err := list(s.guest, nil)
			want("list the first shard", err, "")
			_, err = list(s.guest, token)
			want("list the rest", err, "")
			s.attach("Deny", "*", "kinesis:PutRecord", "kinesis:ListShards")
			_, err = s.owner.ListShards(t.Context(), &kinesis.ListShardsInput{NextToken: token})
			want("list the rest by the owner against a deny", err, refused)
			want("put by the owner against a deny", s.put(s.owner), refused)
			want("get by the owner beside a deny", s.get(s.owner), "")
			if err := server.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := server.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			want("put by the owner after kill -9", s.put(s.owner), refused)
			if _, err := s.owner.DeleteResourcePolicy(t.Context(), &kinesis.DeleteResourcePolicyInput{ResourceARN: &s.arn}); err != nil {
				t.Fatal(err)
			}
			want("put by the owner", s.put(s.owner), "")
			want("put by the guest", s.put(s.guest), refused)
		})
	}
}

// TestSecureTransport allows what comes over TLS only.
func TestSecureTransport(t *testing.T) {
	server := harness.ForTest(t, harness.Options{})
	ca, err := os.ReadFile(filepath.Join(server.DataDir(), "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		t.Fatal("ca.pem holds no certificate")
	}
	tlsOnly := func(o *kinesis.Options) {
		o.HTTPClient = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
	}
	owner := sdk.Client(server.URL(), sdk.NoRetry)
	if _, err := sdk.CreateStream(t.Context(), owner, "shared", 1); err != nil {
		t.Fatal(err)
	}
	s := shared{t: t, owner: owner, arn: "arn:aws:kinesis:" + sdk.Region + ":" + sdk.AccessKey + ":stream/shared"}
	s.policy(fmt.Sprintf(`{"Statement":{"Effect":"Allow","Principal":{"AWS":%q},"Action":"kinesis:Put*","Resource":%q,
		"Condition":{"Bool":{"aws:SecureTransport":"true"},"IpAddress":{"aws:SourceIp":"127.0.0.0/8"}}}}`, guest, s.arn))
	if err := s.put(sdk.Client(server.URL(), sdk.NoRetry, sdk.As(guest, "test"))); codeOf(err) != "AccessDeniedException" {
		t.Errorf("in the clear: %v", err)
	}
	if err := s.put(sdk.Client(server.Ready().HTTPS, sdk.NoRetry, sdk.As(guest, "test"), tlsOnly)); err != nil {
		t.Errorf("over TLS: %v", err)
	}
}

// TestConsumerPolicy shares a consumer with another account. A stream's policy does
// not speak for it, whichever way it is named.
func TestConsumerPolicy(t *testing.T) {
	server := harness.ForTest(t, harness.Options{})
	owner := sdk.Client(server.URL(), sdk.NoRetry)
	if _, err := sdk.CreateStream(t.Context(), owner, "shared", 1); err != nil {
		t.Fatal(err)
	}
	streamARN := "arn:aws:kinesis:" + sdk.Region + ":" + sdk.AccessKey + ":stream/shared"
	made, err := owner.RegisterStreamConsumer(t.Context(), &kinesis.RegisterStreamConsumerInput{StreamARN: &streamARN, ConsumerName: aws.String("c")})
	if err != nil {
		t.Fatal(err)
	}
	other := sdk.Client(server.URL(), sdk.NoRetry, sdk.As(guest, "test"))
	stream := shared{t: t, owner: owner, guest: other, arn: streamARN}
	consumer := shared{t: t, owner: owner, guest: other, arn: *made.Consumer.ConsumerARN}
	subscribe := func() error {
		_, err := other.SubscribeToShard(t.Context(), &kinesis.SubscribeToShardInput{ConsumerARN: &consumer.arn, DryRun: aws.Bool(true),
			ShardId: aws.String("shardId-000000000000"), StartingPosition: &types.StartingPosition{Type: types.ShardIteratorTypeLatest}})
		return err
	}
	byName := func() error {
		_, err := other.DescribeStreamConsumer(t.Context(), &kinesis.DescribeStreamConsumerInput{StreamARN: &streamARN, ConsumerName: aws.String("c")})
		return err
	}
	const refused, allowed = "AccessDeniedException", "DryRunOperationException"
	for _, step := range []struct {
		name               string
		do                 func()
		subscribed, byName string
	}{
		{"no policy", func() {}, refused, refused},
		{"the stream's", func() { stream.attach("Allow", guest, "kinesis:*") }, refused, refused},
		{"both", func() { consumer.attach("Allow", guest, "kinesis:*") }, allowed, ""},
		{"the consumer's", func() { stream.attach("Deny", guest, "kinesis:*") }, allowed, refused},
		{"a deny", func() { consumer.attach("Deny", "*", "kinesis:*") }, refused, refused},
	} {
		step.do()
		if err := subscribe(); codeOf(err) != step.subscribed {
			t.Errorf("%s: subscribe: got %v, want %q", step.name, err, step.subscribed)
		}
		if err := byName(); codeOf(err) != step.byName {
			t.Errorf("%s: describe by name: got %v, want %q", step.name, err, step.byName)
		}
	}
}

// shared is a stream of one account, or a consumer, and its users.
type shared struct {
	t            *testing.T
	owner, guest *kinesis.Client
	arn          string
}

func (s *shared) put(c *kinesis.Client) error {
	_, err := c.PutRecord(s.t.Context(), &kinesis.PutRecordInput{StreamARN: &s.arn, PartitionKey: aws.String("k"), Data: []byte("x")})
	if err == nil {
		_, err = c.PutRecords(s.t.Context(), &kinesis.PutRecordsInput{StreamARN: &s.arn,
			Records: []types.PutRecordsRequestEntry{{PartitionKey: aws.String("k"), Data: []byte("x")}}})
	}
	return err
}

func (s *shared) get(c *kinesis.Client) error {
	it, err := c.GetShardIterator(s.t.Context(), &kinesis.GetShardIteratorInput{StreamARN: &s.arn,
		ShardId: aws.String("shardId-000000000000"), ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	if err == nil {
		_, err = c.GetRecords(s.t.Context(), &kinesis.GetRecordsInput{StreamARN: &s.arn, ShardIterator: it.ShardIterator})
	}
	return err
}

func (s *shared) attach(effect, principal string, actions ...string) {
	s.t.Helper()
	list := fmt.Sprintf("%q", actions[0])
	for _, a := range actions[1:] {
		list += fmt.Sprintf(",%q", a)
	}
	s.policy(fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Sid":"one","Effect":%q,"Principal":{"AWS":%q},"Action":[%s],"Resource":%q}]}`,
		effect, principal, list, s.arn))
}

// policy attaches a policy and sees that it is given back as it was put.
func (s *shared) policy(text string) {
	s.t.Helper()
	if _, err := s.owner.PutResourcePolicy(s.t.Context(), &kinesis.PutResourcePolicyInput{ResourceARN: &s.arn, Policy: &text}); err != nil {
		s.t.Fatal(err)
	}
	out, err := s.owner.GetResourcePolicy(s.t.Context(), &kinesis.GetResourcePolicyInput{ResourceARN: &s.arn})
	if err != nil || *out.Policy != text {
		s.t.Fatalf("put %s\ngot %+v %v", text, out, err)
	}
}
