package s3_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"thalweg/internal/awsapi"
	"thalweg/internal/clock"
	"thalweg/internal/limits"
	"thalweg/internal/objstore"
	"thalweg/internal/objstore/fs"
	"thalweg/internal/objstore/objtest"
	"thalweg/internal/objstore/s3"
	door "thalweg/internal/s3"
	"thalweg/internal/sigv4"
	"thalweg/internal/vfs"
)

const account = "111122223333"

// owner is an Auth that knows one key, whose owner may do everything.
type owner struct{ v *sigv4.Verifier }

func (o owner) Secret(id string) (sigv4.Secret, uint64, bool) {
	return sigv4.NewSecret("secret"), 1, id == "AKIDEXAMPLE"
}

func (o owner) AuthenticateStream(r *http.Request) (awsapi.Caller, sigv4.Payload, *sigv4.Error) {
	a, err := sigv4.Parse(r)
	if err != nil {
		return awsapi.Caller{}, sigv4.Payload{}, err
	}
	p, _ := sigv4.ParsePayload(r, &a)
	err = o.v.VerifyHead(r, &a, &p, &sigv4.Rules{Service: "s3", S3Path: true})
	return awsapi.Caller{Account: account, Region: a.Region}, p, err
}

func (owner) AuthorizeOwned(c awsapi.Caller, _, _, owner string) *awsapi.Error {
	if c.Account != owner {
		return awsapi.NewError("AccessDenied", "no", http.StatusForbidden)
	}
	return nil
}

// serve serves a store over S3, and returns a store on that.
func serve(t *testing.T, below objstore.Store) *s3.Store {
	t.Helper()
	auth := owner{}
	auth.v = sigv4.NewVerifier(clock.System(), auth)
	d := door.New(door.Options{Store: below, Auth: auth, Budget: limits.NewBudget(0), Clock: clock.System(), Log: slog.New(slog.DiscardHandler),
		Region: "eu-west-1"})
	srv := httptest.NewServer(d)
	t.Cleanup(srv.Close)
	return s3.New(s3.Options{Endpoint: srv.URL, Region: "eu-west-1", AccessKey: "AKIDEXAMPLE", SecretKey: "secret", PathStyle: true,
		Memory: limits.NewBudget(0), Client: srv.Client()})
}

// The suite runs through AWS's client, the wire and our own door, so it holds for all
// three.
func TestStoreOverS3(t *testing.T) {
	below, err := fs.Open(fs.Options{FS: vfs.NewEphemeral(), Dir: "/data/objects", Clock: clock.NewManual(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))})
	if err != nil {
		t.Fatal(err)
	}
	objtest.Run(t, objtest.Harness{Store: serve(t, below), Prefix: "t-"})
}
