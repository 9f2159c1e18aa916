package awsapi_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"thalweg/internal/awsapi"
)

// discard is a ResponseWriter that keeps nothing.
type discard struct{ h http.Header }

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}

// benchServe measures the pipeline around a handler that does nothing, with a
// request of 1.5 kB as PutRecord's.
func benchServe(b *testing.B, fast awsapi.FastFunc) {
	svc, _ := services(echo)
	svc.Op("Echo").Fast = fast
	srv := newServer(b, awsapi.Config{Services: []*awsapi.Service{svc}, Auth: allowAll{}, Budget: new(endless)})
	body := `{"Blob":"` + strings.Repeat("QUJD", 350) + `","Text":"player-1"}`
	r := echoRequest(awsapi.AWSJSON, body)
	reader := strings.NewReader(body)
	r.Body = io.NopCloser(reader)
	w := &discard{h: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		reader.Reset(body)
		clear(w.h)
		srv.ServeHTTP(w, r)
	}
}

type endless struct{}

func (endless) TryAcquire(int64) bool { return true }
func (endless) Release(int64)         {}

func BenchmarkServeFast(b *testing.B) {
	benchServe(b, func(ctx context.Context, _ awsapi.Codec, _, out []byte) ([]byte, bool, error) {
		if err := awsapi.Authorize(ctx, "arn"); err != nil {
			return nil, true, err
		}
		return append(out, `{"SequenceNumber":"1","ShardId":"shardId-000000000000"}`...), true, nil
	})
}

func BenchmarkServeGeneral(b *testing.B) { benchServe(b, nil) }
