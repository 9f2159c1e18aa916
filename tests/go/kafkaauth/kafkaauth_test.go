// Package kafkaauth proves who Kafka's clients are to the real binary: with
// franz-go's mechanisms and AWS's own signer, over TLS, across kill -9.
package kafkaauth

import (
	"context"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-msk-iam-sasl-signer-go/signer"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/aws"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"thalweg/tests/harness"
)

const region = "eu-west-1"

func start(t *testing.T, flags ...string) (*harness.Server, harness.Key) {
	t.Helper()
	t.Setenv("AWS_REGION", region)
	args := []string{"--auth", "strict", "--region", region, "--listen-kafka", "SASL_SSL://127.0.0.1:0,127.0.0.1:0"}
	server := harness.ForTest(t, harness.Options{Args: append(args, flags...)})
	key, err := server.CreateKey(t.Context(), "000000000000")
	if err != nil {
		t.Fatal(err)
	}
	return server, key
}

// client connects over TLS, trusting the server's authority alone.
func client(t *testing.T, server *harness.Server, m sasl.Mechanism) *kgo.Client {
	t.Helper()
	ca, err := os.ReadFile(filepath.Join(server.DataDir(), "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		t.Fatal("no authority")
	}
	cl, err := kgo.NewClient(
		kgo.SeedBrokers(server.Ready().KafkaListeners[0].Advertised), kgo.DialTLSConfig(&tls.Config{RootCAs: pool}), kgo.SASL(m),
		kgo.RequestRetries(0), kgo.AllowAutoTopicCreation(),
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// produce sends a record, once the broker has said that it would take one: a
// client goes on asking where it is refused.
func produce(t *testing.T, cl *kgo.Client, topic string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req := kmsg.NewPtrMetadataRequest()
	req.Topics, req.AllowAutoTopicCreation = []kmsg.MetadataRequestTopic{{Topic: &topic}}, true
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	if err := kerr.ErrorForCode(resp.Topics[0].ErrorCode); err != nil {
		return err
	}
	return cl.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("x")}).FirstErr()
}

// token is one of AWS's signer.
func token(t *testing.T, k harness.Key, region string) string {
	t.Helper()
	token, _, err := signer.GenerateAuthTokenFromCredentialsProvider(t.Context(), region,
		credentials.NewStaticCredentialsProvider(k.AccessKey, k.SecretKey, ""))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func signed(t *testing.T, k harness.Key, region string) sasl.Mechanism {
	return oauth.Auth{Token: token(t, k, region)}.AsMechanism()
}

func iam(k harness.Key) sasl.Mechanism {
	return aws.Auth{AccessKey: k.AccessKey, SecretKey: k.SecretKey}.AsManagedStreamingIAMMechanism()
}

// alter changes the character after a text into another digit.
func alter(t *testing.T, in, after string) string {
	t.Helper()
	before, rest, ok := strings.Cut(in, after)
	if !ok {
		t.Fatalf("no %s in %s", after, in)
	}
	digit := "1"
	if rest[0] == '1' {
		digit = "2"
	}
	return before + after + digit + rest[1:]
}

// altered is a mechanism whose first message is changed on its way.
type altered struct {
	sasl.Mechanism
	t     *testing.T
	after string
}

func (a altered) Authenticate(ctx context.Context, host string) (sasl.Session, []byte, error) {
	session, message, err := a.Mechanism.Authenticate(ctx, host)
	return session, []byte(alter(a.t, string(message), a.after)), err
}

// TestExpiry: what was signed is good for its lifetime, and not after it.
func TestExpiry(t *testing.T) {
	server, key := start(t, "--test-aids")
	bearer := signed(t, key, region)
	for name, m := range map[string]sasl.Mechanism{"AWS_MSK_IAM": iam(key), "AWS's signer": bearer} {
		if err := produce(t, client(t, server, m), "orders"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	resp, err := http.Post(server.URL()+"/_thalweg/clock", "application/json", strings.NewReader(`{"advance":"20m"}`))
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%+v, %v", resp, err)
	}
	defer resp.Body.Close()
	for name, m := range map[string]sasl.Mechanism{"AWS_MSK_IAM": iam(key), "AWS's signer": bearer} {
		if err := produce(t, client(t, server, m), "orders"); !errors.Is(err, kerr.SaslAuthenticationFailed) {
			t.Errorf("%s, expired: %v", name, err)
		}
	}
}

func TestKeys(t *testing.T) {
	server, key := start(t)
	other, err := server.CreateKey(t.Context(), "123456789012")
	if err != nil {
		t.Fatal(err)
	}
	tampered := func(name string) sasl.Mechanism {
		url, err := base64.RawURLEncoding.DecodeString(token(t, key, region))
		if err != nil {
			t.Fatal(err)
		}
		return oauth.Auth{Token: base64.RawURLEncoding.EncodeToString([]byte(alter(t, string(url), name+"=")))}.AsMechanism()
	}
	wrong := harness.Key{AccessKey: key.AccessKey, SecretKey: other.SecretKey}
	for name, tc := range map[string]struct {
		as sasl.Mechanism
		ok bool
	}{
		"PLAIN":                           {plain.Auth{User: key.AccessKey, Pass: key.SecretKey}.AsMechanism(), true},
		"PLAIN, wrong":                    {plain.Auth{User: key.AccessKey, Pass: other.SecretKey}.AsMechanism(), false},
		"AWS_MSK_IAM":                     {iam(key), true},
		"AWS_MSK_IAM, wrong":              {iam(wrong), false},
		"AWS_MSK_IAM, another account":    {iam(other), false},
		"AWS_MSK_IAM, another signature":  {altered{iam(key), t, `"x-amz-signature":"`}, false},
		"AWS_MSK_IAM, another time":       {altered{iam(key), t, `"x-amz-date":"2`}, false},
		"AWS_MSK_IAM, another lifetime":   {altered{iam(key), t, `"x-amz-expires":"`}, false},
		"AWS's signer":                    {signed(t, key, region), true},
		"AWS's signer, wrong":             {signed(t, wrong, region), false},
		"AWS's signer, another account":   {signed(t, other, region), false},
		"AWS's signer, another region":    {signed(t, key, "us-east-1"), false},
		"AWS's signer, another signature": {tampered("X-Amz-Signature"), false},
		"AWS's signer, another lifetime":  {tampered("X-Amz-Expires"), false},
	} {
		switch err := produce(t, client(t, server, tc.as), "orders"); {
		case tc.ok && err != nil:
			t.Errorf("%s: %v", name, err)
		case !tc.ok && !errors.Is(err, kerr.SaslAuthenticationFailed):
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestUsersSurvive: a SCRAM user and what it may do outlive kill -9, and nobody on
// a listener without authentication may anything.
func TestUsersSurvive(t *testing.T) {
	server, key := start(t)
	admin := client(t, server, plain.Auth{User: key.AccessKey, Pass: key.SecretKey}.AsMechanism())
	salted, err := pbkdf2.Key(sha256.New, "secret", []byte("salt"), 4096, sha256.Size)
	if err != nil {
		t.Fatal(err)
	}
	users := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	users.Upsertions = []kmsg.AlterUserSCRAMCredentialsRequestUpsertion{{Name: "ada", Mechanism: 1, Iterations: 4096, Salt: []byte("salt"), SaltedPassword: salted}}
	if got, err := users.RequestWith(t.Context(), admin); err != nil || got.Results[0].ErrorCode != 0 {
		t.Fatalf("set password: %+v, %v", got, err)
	}
	acls := kmsg.NewPtrCreateACLsRequest()
	for _, op := range []kmsg.ACLOperation{kmsg.ACLOperationWrite, kmsg.ACLOperationCreate} {
		acls.Creations = append(acls.Creations, kmsg.CreateACLsRequestCreation{ResourceType: kmsg.ACLResourceTypeTopic, ResourceName: "ada-",
			ResourcePatternType: kmsg.ACLResourcePatternTypePrefixed, Principal: "User:ada", Host: "*", Operation: op, PermissionType: kmsg.ACLPermissionTypeAllow})
	}
	if got, err := acls.RequestWith(t.Context(), admin); err != nil || got.Results[0].ErrorCode != 0 {
		t.Fatalf("create ACLs: %+v, %v", got, err)
	}
	for _, when := range []string{"before", "after"} {
		ada := client(t, server, scram.Auth{User: "ada", Pass: "secret"}.AsSha256Mechanism())
		if err := produce(t, ada, "ada-orders"); err != nil {
			t.Errorf("%s kill -9: %v", when, err)
		}
		if err := produce(t, ada, "orders"); !errors.Is(err, kerr.TopicAuthorizationFailed) {
			t.Errorf("%s kill -9: another's topic: %v", when, err)
		}
		wrong := client(t, server, scram.Auth{User: "ada", Pass: "x"}.AsSha256Mechanism())
		if err := produce(t, wrong, "ada-orders"); !errors.Is(err, kerr.SaslAuthenticationFailed) {
			t.Errorf("%s kill -9: wrong password: %v", when, err)
		}
		nobody, err := kgo.NewClient(kgo.SeedBrokers(server.Ready().Kafka), kgo.AllowAutoTopicCreation(), kgo.UnknownTopicRetries(1))
		if err != nil {
			t.Fatal(err)
		}
		if err := produce(t, nobody, "ada-orders"); !errors.Is(err, kerr.TopicAuthorizationFailed) {
			t.Errorf("%s kill -9: nobody: %v", when, err)
		}
		nobody.Close()
		if when == "before" {
			if err := errors.Join(server.Kill(), server.Restart(t.Context())); err != nil {
				t.Fatal(err)
			}
		}
	}
}
