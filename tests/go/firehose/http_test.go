package firehose

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"
)

// receiver is an HTTP endpoint that refuses its first requests.
type receiver struct {
	mu      sync.Mutex
	refuse  int
	records []string
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	var in struct {
		RequestID string `json:"requestId"`
		Records   []struct{ Data string }
	}
	if err != nil || json.Unmarshal(body, &in) != nil {
		http.Error(w, "no request", http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse != 0 {
		r.refuse--
		http.Error(w, "not now", http.StatusInternalServerError)
		return
	}
	for _, rec := range in.Records {
		data, _ := base64.StdEncoding.DecodeString(rec.Data)
		r.records = append(r.records, string(data))
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"requestId":"`+in.RequestID+`","timestamp":1}`)
}

// TestEndpoint delivers to an HTTP endpoint that comes back, to one that does not, where
// the records end in the error output, and what was put to both in the backup.
func TestEndpoint(t *testing.T) {
	s := newSuite(t)
	for name, refuse := range map[string]int{"back": 2, "gone": -1} {
		patience := int32(60)
		if refuse < 0 {
			patience = 0
		}
		to := &receiver{refuse: refuse}
		endpoint := httptest.NewServer(to)
		defer endpoint.Close()
		s.create(name, "", func(in *firehose.CreateDeliveryStreamInput) {
			in.ExtendedS3DestinationConfiguration = nil
			in.HttpEndpointDestinationConfiguration = &types.HttpEndpointDestinationConfiguration{
				EndpointConfiguration: &types.HttpEndpointConfiguration{Url: aws.String(endpoint.URL)},
				BufferingHints:        &types.HttpEndpointBufferingHints{SizeInMBs: aws.Int32(1), IntervalInSeconds: aws.Int32(0)},
				RetryOptions:          &types.HttpEndpointRetryOptions{DurationInSeconds: aws.Int32(patience)},
				S3BackupMode:          types.HttpEndpointS3BackupModeAllData, RoleARN: role,
				S3Configuration: &types.S3DestinationConfiguration{BucketARN: aws.String("arn:aws:s3:::" + bucket), RoleARN: role, Prefix: aws.String(name + "/")},
			}
		})
		if _, err := s.client.PutRecordBatch(t.Context(), &firehose.PutRecordBatchInput{DeliveryStreamName: &name,
			Records: []types.Record{{Data: []byte("one")}, {Data: []byte("two")}}}); err != nil {
			t.Fatal(err)
		}
		s.flush(name)
		var backup, failed []string
		for key, body := range s.objects(name + "/") {
			if strings.HasPrefix(key, name+"/http-endpoint-failed/") {
				failed = append(failed, strings.Split(strings.TrimSpace(string(body)), "\n")...)
			} else {
				backup = append(backup, string(body))
			}
		}
		if len(backup) != 1 || backup[0] != "onetwo" {
			t.Errorf("%s: backup %q", name, backup)
		}
		to.mu.Lock()
		got := strings.Join(to.records, ",")
		to.mu.Unlock()
		if refuse > 0 && (got != "one,two" || len(failed) != 0) || refuse < 0 && (got != "" || len(failed) != 2) {
			t.Errorf("%s: received %q, failed %q", name, got, failed)
		}
		for i, line := range failed {
			var f struct{ ErrorCode, RawData string }
			if err := json.Unmarshal([]byte(line), &f); err != nil || f.ErrorCode != "HttpEndpoint.DestinationException" ||
				f.RawData != base64.StdEncoding.EncodeToString([]byte([]string{"one", "two"}[i])) {
				t.Errorf("%s: line %q, %v", name, line, err)
			}
		}
	}
}
