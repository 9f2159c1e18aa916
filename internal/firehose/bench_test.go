package firehose

import (
	"encoding/base64"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
)

// BenchmarkPutRecordBatch puts 500 records of 1 KiB, as JSON in to JSON out.
func BenchmarkPutRecordBatch(b *testing.B) {
	s := newServer(b)
	make := httptest.NewRequest("POST", "/", strings.NewReader(`{"DeliveryStreamName":"events","ExtendedS3DestinationConfiguration":`+
		`{"RoleARN":"arn:aws:iam::000000000000:role/firehose","BucketARN":"arn:aws:s3:::bucket"}}`))
	make.Header.Set("X-Amz-Target", "Firehose_20150804.CreateDeliveryStream")
	make.Header.Set("Content-Type", "application/x-amz-json-1.1")
	s.http.ServeHTTP(httptest.NewRecorder(), make)
	var body strings.Builder
	body.WriteString(`{"DeliveryStreamName":"events","Records":[`)
	for i := range 500 {
		if i > 0 {
			body.WriteByte(',')
		}
		fmt.Fprintf(&body, `{"Data":%q}`, base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%01024d", i)))
	}
	body.WriteString("]}")
	b.SetBytes(500 << 10)
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body.String()))
		r.Header.Set("X-Amz-Target", "Firehose_20150804.PutRecordBatch")
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		w := httptest.NewRecorder()
		s.http.ServeHTTP(w, r)
		if w.Code != 200 {
			b.Fatal(w.Body.String())
		}
	}
}
