// Package s3 drives buckets and objects of the real binary with aws-sdk-go-v2 and its
// transfer manager, signatures verified, through kill -9.
package s3

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"flag"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"thalweg/tests/harness"
	"thalweg/tests/sdk"
)

const account = "123456789012"

var kills = flag.Int("kills", 5, "times the server is killed")

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(harness.Main(m))
}

func strict(t *testing.T, args ...string) (*harness.Server, s3.Options) {
	server := harness.ForTest(t, harness.Options{Args: append([]string{"--auth", "strict"}, args...)})
	key, err := server.CreateKey(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	return server, s3.Options{Region: sdk.Region, BaseEndpoint: aws.String(server.URL()), UsePathStyle: true, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(key.AccessKey, key.SecretKey, "")}
}

func makeBucket(t *testing.T, c *s3.Client) *string {
	t.Helper()
	if _, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("bucket")}); err != nil {
		t.Fatal(err)
	}
	return aws.String("bucket")
}

// pattern gives n bytes that are not alike anywhere, without holding them.
type pattern struct {
	rng *rand.ChaCha8
	n   int64
	sum hash.Hash
}

func newPattern(seed byte, n int64) *pattern {
	return &pattern{rng: rand.NewChaCha8([32]byte{seed}), n: n, sum: md5.New()}
}

func (p *pattern) Read(b []byte) (int, error) {
	if p.n == 0 {
		return 0, io.EOF
	}
	b = b[:min(int64(len(b)), p.n)]
	_, _ = p.rng.Read(b)
	p.sum.Write(b)
	p.n -= int64(len(b))
	return len(b), nil
}

// TestLargeObject puts and gets 200 MB through the transfer manager; the server's
// memory stays where it was.
func TestLargeObject(t *testing.T) {
	server, o := strict(t, "--memory", "64MiB")
	client := s3.New(o)
	bucket := makeBucket(t, client)
	const size = 200_000_000
	body := newPattern(1, size)
	manager := transfermanager.New(client)
	if _, err := manager.UploadObject(t.Context(), &transfermanager.UploadObjectInput{Bucket: bucket, Key: aws.String("large"), Body: body}); err != nil {
		t.Fatal(err)
	}
	out, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: aws.String("large")})
	if err != nil {
		t.Fatal(err)
	}
	got := md5.New()
	n, err := io.Copy(got, out.Body)
	if err != nil || n != size || !bytes.Equal(got.Sum(nil), body.sum.Sum(nil)) {
		t.Fatalf("%d bytes come back, or others: %v", n, err)
	}
	if err := out.Body.Close(); err != nil {
		t.Fatal(err)
	}
	m, err := harness.MemoryOf(server.Ready().PID)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("peak RSS %d MB", m.Peak>>20)
	if limit := int64(64+64) << 20; m.Peak > limit {
		t.Errorf("peak RSS %d MB, allowed are %d", m.Peak>>20, limit>>20)
	}
}

// TestForms puts the same bytes in every form in which a body can be signed, and with
// every checksum.
func TestForms(t *testing.T) {
	server, o := strict(t)
	client := s3.New(o)
	bucket := makeBucket(t, client)
	body := strings.Repeat("0123456789abcdef", 20_000)
	for _, a := range []types.ChecksumAlgorithm{"", types.ChecksumAlgorithmCrc32, types.ChecksumAlgorithmCrc32c, types.ChecksumAlgorithmCrc64nvme,
		types.ChecksumAlgorithmSha1, types.ChecksumAlgorithmSha256} {
		key := aws.String("k/" + string(a))
		if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: key, Body: strings.NewReader(body), ChecksumAlgorithm: a}); err != nil {
			t.Fatalf("%s: %v", a, err)
		}
		out, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: key, ChecksumMode: types.ChecksumModeEnabled})
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(out.Body) // the client checks the checksum
		if err != nil || string(got) != body {
			t.Fatalf("%s: %d bytes, %v", a, len(got), err)
		}
	}
	presign := s3.NewPresignClient(client)
	put, err := presign.PresignPutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: aws.String("presigned")})
	if err != nil {
		t.Fatal(err)
	}
	send := func(method, url string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	if status, answer := send(http.MethodPut, put.URL); status != 200 {
		t.Fatal(status, answer)
	}
	get, err := presign.PresignGetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: aws.String("presigned")})
	if err != nil {
		t.Fatal(err)
	}
	if status, answer := send(http.MethodGet, get.URL); status != 200 || answer != "hello" {
		t.Fatal(status, answer)
	}
	for what, url := range map[string]string{
		"another key": strings.Replace(get.URL, "presigned", "k/SHA1", 1), "another time": strings.Replace(get.URL, "X-Amz-Expires=900", "X-Amz-Expires=9000", 1),
		"no signature": server.URL() + "/bucket/presigned",
	} {
		if status, answer := send(http.MethodGet, url); status != 403 {
			t.Errorf("%s: %d %s", what, status, answer)
		}
	}
	if status, _ := send(http.MethodPut, get.URL); status != 403 {
		t.Error("a request for reading is good for writing:", status)
	}
}

// TestAccounts: a bucket is its owner's alone.
func TestAccounts(t *testing.T) {
	server, o := strict(t)
	client := s3.New(o)
	bucket := makeBucket(t, client)
	if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: aws.String("k"), Body: strings.NewReader("mine")}); err != nil {
		t.Fatal(err)
	}
	key, err := server.CreateKey(t.Context(), "999900001111")
	if err != nil {
		t.Fatal(err)
	}
	o.Credentials = credentials.NewStaticCredentialsProvider(key.AccessKey, key.SecretKey, "")
	stranger := s3.New(o)
	for what, call := range map[string]func(context.Context) error{
		"get": func(ctx context.Context) error {
			_, err := stranger.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: aws.String("k")})
			return err
		},
		"put": func(ctx context.Context) error {
			_, err := stranger.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("k"), Body: strings.NewReader("x")})
			return err
		},
		"delete": func(ctx context.Context) error {
			_, err := stranger.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: aws.String("k")})
			return err
		},
		"list": func(ctx context.Context) error {
			_, err := stranger.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket})
			return err
		},
		"copy": func(ctx context.Context) error {
			if _, err := stranger.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("strangers")}); err != nil {
				return err
			}
			_, err := stranger.CopyObject(ctx, &s3.CopyObjectInput{Bucket: aws.String("strangers"), Key: aws.String("k"), CopySource: aws.String("bucket/k")})
			return err
		},
	} {
		var api smithy.APIError
		if err := call(t.Context()); !errors.As(err, &api) || api.ErrorCode() != "AccessDenied" {
			t.Errorf("%s: %v", what, err)
		}
	}
	all, err := stranger.ListBuckets(t.Context(), &s3.ListBucketsInput{})
	if err != nil || len(all.Buckets) != 1 {
		t.Errorf("%+v %v", all.Buckets, err)
	}
}

// TestKills kills the server amid puts and uploads in parts. Every object that was
// answered is there, whole; one that was not is whole or not there; nothing is left
// behind.
func TestKills(t *testing.T) {
	server, o := strict(t)
	client := s3.New(o)
	bucket := makeBucket(t, client)
	rng := rand.New(rand.NewPCG(1, 2))
	type object struct{ body, unanswered []byte }
	var mu sync.Mutex
	objects := map[string]*object{}
	for round := range *kills {
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		var done sync.WaitGroup // a few puts of each worker
		for w := range 4 {
			seed := rng.Uint64()
			done.Add(1)
			group.Go(func() {
				rng := rand.New(rand.NewPCG(seed, uint64(w)))
				for n := 0; ; n++ {
					if n == 3 {
						done.Done()
					}
					key, body := fmt.Sprintf("w%d/k%d", w, rng.IntN(5)), make([]byte, rng.IntN(300_000))
					if rng.IntN(4) == 0 {
						body = make([]byte, 6<<20)
					}
					for i := range body {
						body[i] = byte(rng.Uint32())
					}
					mu.Lock()
					at := objects[key]
					if at == nil {
						at = &object{}
						objects[key] = at
					}
					at.unanswered = body
					mu.Unlock()
					if err := put(ctx, client, bucket, key, body); err != nil {
						if n < 3 {
							done.Done()
							t.Errorf("round %d: %v", round, err)
						}
						return
					}
					mu.Lock()
					at.body, at.unanswered = body, nil
					mu.Unlock()
				}
			})
		}
		done.Wait()
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		group.Wait()
		cancel()
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		o.BaseEndpoint = aws.String(server.URL())
		client = s3.New(o)
		for key, at := range objects {
			got, err := get(t.Context(), client, bucket, key)
			switch {
			case err != nil:
				t.Fatal(err)
			case got != nil && at.unanswered != nil && bytes.Equal(got, at.unanswered):
				at.body = at.unanswered
			case !bytes.Equal(got, at.body) || (got == nil) != (at.body == nil):
				t.Fatalf("round %d: %s holds %d bytes, was left with %d", round, key, len(got), len(at.body))
			}
			at.unanswered = nil
		}
		left, err := os.ReadDir(server.DataDir() + "/objects/tmp")
		if err != nil || len(left) > 0 {
			t.Fatalf("round %d: %d files left in tmp, %v", round, len(left), err)
		}
	}
	t.Logf("%d objects after %d kills", len(objects), *kills)
}

// put puts large objects in parts.
func put(ctx context.Context, c *s3.Client, bucket *string, key string, body []byte) error {
	if len(body) < 5<<20 {
		_, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: &key, Body: bytes.NewReader(body)})
		return err
	}
	u, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: bucket, Key: &key})
	if err != nil {
		return err
	}
	var parts []types.CompletedPart
	for i, b := range [][]byte{body[:5<<20], body[5<<20:]} {
		p, err := c.UploadPart(ctx, &s3.UploadPartInput{Bucket: bucket, Key: &key, UploadId: u.UploadId, PartNumber: aws.Int32(int32(i + 1)), Body: bytes.NewReader(b)})
		if err != nil {
			return err
		}
		parts = append(parts, types.CompletedPart{PartNumber: aws.Int32(int32(i + 1)), ETag: p.ETag})
	}
	_, err = c.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: bucket, Key: &key, UploadId: u.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}})
	return err
}

// get reads an object, nil if there is none.
func get(ctx context.Context, c *s3.Client, bucket *string, key string) ([]byte, error) {
	out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: &key})
	var none *types.NoSuchKey
	if errors.As(err, &none) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer out.Body.Close()
	b, err := io.ReadAll(out.Body)
	return append([]byte{}, b...), err
}

// TestFull: a full data directory refuses, keeps what it has, and goes on when there
// is room.
func TestFull(t *testing.T) {
	_, o := strict(t, "--max-disk", "100MiB")
	client := s3.New(o)
	bucket := makeBucket(t, client)
	body := make([]byte, 8<<20)
	n := 0
	for ; n < 40; n++ {
		if err := put(t.Context(), client, bucket, fmt.Sprint("k", n), body[:4<<20]); err != nil {
			var api smithy.APIError
			if !errors.As(err, &api) || api.ErrorCode() != "ServiceUnavailable" {
				t.Fatal(err)
			}
			break
		}
	}
	if n == 0 || n == 40 {
		t.Fatalf("%d objects of 4 MiB in 100 MiB", n)
	}
	if b, err := get(t.Context(), client, bucket, "k0"); err != nil || len(b) != 4<<20 {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	if _, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: aws.String("k0")}); err != nil {
		t.Fatal(err)
	}
	if err := put(t.Context(), client, bucket, "again", body[:3<<20]); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d objects of 4 MiB", n)
}

// TestTokenTimes keeps a presigned request from living longer than it says.
func TestTokenTimes(t *testing.T) {
	server, o := strict(t, "--test-aids")
	client := s3.New(o)
	bucket := makeBucket(t, client)
	get, err := s3.NewPresignClient(client, s3.WithPresignExpires(time.Minute)).PresignGetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: aws.String("k")})
	if err != nil {
		t.Fatal(err)
	}
	status := func() (int, string) {
		resp, err := http.Get(get.URL) //nolint:noctx // a plain client's
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	if code, answer := status(); code != 404 || !strings.Contains(answer, "NoSuchKey") {
		t.Fatal(code, answer)
	}
	resp, err := http.Post(server.URL()+"/_thalweg/clock", "application/json", strings.NewReader(`{"advance":"2m"}`)) //nolint:noctx // likewise
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if code, answer := status(); code != 403 || !strings.Contains(answer, "Request has expired") {
		t.Fatal(code, answer)
	}
}
