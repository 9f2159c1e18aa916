// Package auth checks the signatures of a server that demands them, with the
// SDK and with a signer that shares no code with the product.
package auth

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/smithy-go"

	"thalweg/tests/harness"
	"thalweg/tests/lean"
	"thalweg/tests/sdk"
)

const account = "123456789012"

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(harness.Main(m))
}

func TestStrict(t *testing.T) {
	server := harness.ForTest(t, harness.Options{Args: []string{"--auth", "strict"}})
	key, err := server.CreateKey(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}

	t.Run("the right key", func(t *testing.T) {
		client := sdk.Client(server.URL(), sdk.NoRetry, sdk.As(key.AccessKey, key.SecretKey))
		if _, err := sdk.CreateStream(t.Context(), client, "signed", 1); err != nil {
			t.Fatal(err)
		}
		name := "signed"
		out, err := client.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: &name})
		if err != nil {
			t.Fatal(err)
		}
		want := "arn:aws:kinesis:" + sdk.Region + ":" + account + ":stream/signed"
		if got := *out.StreamDescriptionSummary.StreamARN; got != want {
			t.Errorf("the key's account: got %s, want %s", got, want)
		}
	})

	t.Run("other keys with the SDK", func(t *testing.T) {
		for _, k := range []struct{ access, secret, code string }{
			{key.AccessKey, "wrong" + key.SecretKey[5:], "InvalidSignatureException"},
			{"AKIAIOSFODNN7EXAMPLE", key.SecretKey, "UnrecognizedClientException"},
			{account, "test", "UnrecognizedClientException"},
		} {
			client := sdk.Client(server.URL(), sdk.NoRetry, sdk.As(k.access, k.secret))
			_, err := client.ListStreams(t.Context(), &kinesis.ListStreamsInput{})
			if codeOf(err) != k.code {
				t.Errorf("access key %s: got %v, want %s", k.access, err, k.code)
			}
		}
	})

	t.Run("raw", func(t *testing.T) {
		signer := lean.Signer{Host: server.Addr(), AccessKey: key.AccessKey, SecretKey: key.SecretKey, Region: sdk.Region}
		good := signer.Request("ListStreams", []byte(`{"Limit":5}`))
		early := signer
		early.Now = func() time.Time { return time.Now().Add(-16 * time.Minute) }
		elsewhere := signer
		elsewhere.Host = "example.com"
		swap := func(old, with string) []byte {
			if !bytes.Contains(good, []byte(old)) {
				t.Fatalf("no %q in the request", old)
			}
			return bytes.Replace(good, []byte(old), []byte(with), 1)
		}
		line := func(name string) string {
			_, rest, _ := strings.Cut(string(good), name+": ")
			value, _, _ := strings.Cut(rest, "\r\n")
			return name + ": " + value + "\r\n"
		}
		invalid := []string{"InvalidSignatureException"}
		for _, c := range []struct {
			name    string
			request []byte
			codes   []string // none: accepted
		}{
			{"as signed", good, nil},
			{"body changed", swap(`{"Limit":5}`, `{"Limit":6}`), invalid},
			{"target changed", swap("Kinesis_20131202.ListStreams", "Kinesis_20131202.ListShards."), []string{"InvalidSignatureException", "UnknownOperationException"}},
			{"operation changed", swap("Kinesis_20131202.ListStreams", "Kinesis_20131202.DescribeLimits"), invalid},
			{"path changed", swap("POST / ", "POST /x "), invalid},
			{"query added", swap("POST / ", "POST /?a=b "), invalid},
			{"host changed", bytes.Replace(elsewhere.Request("ListStreams", []byte("{}")), []byte("Host: example.com"), []byte("Host: "+server.Addr()), 1), invalid},
			{"signature cut", swap("Signature=", "Signature=0"), []string{"InvalidSignatureException", "IncompleteSignatureException"}},
			{"unsigned", swap(line("Authorization"), ""), []string{"MissingAuthenticationTokenException"}},
			{"no date", swap(line("X-Amz-Date"), ""), []string{"IncompleteSignatureException", "InvalidSignatureException"}},
			{"too old", early.Request("ListStreams", []byte("{}")), []string{"InvalidSignatureException", "RequestExpired"}},
			{"header half given", swap("SignedHeaders=", "Nothing="), []string{"IncompleteSignatureException"}},
			{"another scheme", swap("AWS4-HMAC-SHA256 ", "Bearer "), []string{"IncompleteSignatureException", "MissingAuthenticationTokenException"}},
		} {
			t.Run(c.name, func(t *testing.T) {
				conn, err := lean.Dial(server.Addr())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				err = conn.Call(c.request, nil)
				var answer *lean.WireError
				switch {
				case len(c.codes) == 0 && err != nil:
					t.Error(err)
				case len(c.codes) > 0 && (!errors.As(err, &answer) || !slices.Contains(c.codes, answer.Code) || answer.Status < 400 || answer.Status > 403):
					t.Errorf("got %v, want one of %v", err, c.codes)
				}
			})
		}
	})

	t.Run("the secret stays secret", func(t *testing.T) {
		if strings.Contains(server.Output(), key.SecretKey) {
			t.Error("the server printed a secret key")
		}
	})
}

// codeOf is the code of a service's error, "" for none.
func codeOf(err error) string {
	var answer smithy.APIError
	if errors.As(err, &answer) {
		return answer.ErrorCode()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func messageOf(err error) string {
	var answer smithy.APIError
	if errors.As(err, &answer) {
		return answer.ErrorMessage()
	}
	return ""
}
