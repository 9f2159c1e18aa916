package kinesis

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// BenchmarkFanout has consumers read the same records at once, over real
// connections, from the place where they are put.
func BenchmarkFanout(b *testing.B) {
	for _, consumers := range []int{1, 20} {
		b.Run(fmt.Sprint(consumers), func(b *testing.B) {
			s := newServer(b, false)
			web := httptest.NewServer(s.http)
			defer web.Close()
			s.call("CreateStream", `{"StreamName":"s","ShardCount":1}`, nil)
			body := string(putRecordsBody("s", 100, 1024))
			var all sync.WaitGroup
			want := int64(b.N) * 100 * 1024 * 4 / 3
			for i := range consumers {
				arn := "arn:aws:kinesis:us-east-1:000000000000:stream/s"
				s.call("RegisterStreamConsumer", fmt.Sprintf(`{"StreamARN":%q,"ConsumerName":"c%d"}`, arn, i), nil)
				r, _ := http.NewRequest(http.MethodPost, web.URL, strings.NewReader(fmt.Sprintf(
					`{"ConsumerARN":"%s/consumer/c%d:%d","ShardId":"0","StartingPosition":{"Type":"LATEST"}}`, arn, i, start.Unix())))
				r.Header.Set("X-Amz-Target", "Kinesis_20131202.SubscribeToShard")
				r.Header.Set("Content-Type", "application/x-amz-json-1.1")
				resp, err := http.DefaultClient.Do(r)
				if err != nil || resp.StatusCode != 200 {
					b.Fatal(err, resp.Status)
				}
				all.Add(1)
				go func() {
					defer all.Done()
					defer resp.Body.Close()
					if _, err := io.CopyN(io.Discard, resp.Body, want); err != nil {
						b.Error(err)
					}
				}()
			}
			b.SetBytes(int64(consumers) * 100 * 1024)
			b.ResetTimer()
			for range b.N {
				if code, answer := s.call("PutRecords", body, nil); code != 200 {
					b.Fatalf("%d %s", code, answer)
				}
			}
			all.Wait()
			b.StopTimer()
			s.clock.Advance(5 * time.Minute)
		})
	}
}
