package aids

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/smithy-go"

	"thalweg/tests/sdk"
)

type rule = map[string]any

// Entries that are made to fail are not stored, all others are, and the same
// seed picks the same ones.
func TestPartialFailures(t *testing.T) {
	s := newSuite(t)
	pictures := map[string]bool{}
	for round, code := range []string{rateError, "InternalFailure", "InternalFailure"} {
		stream := s.create(fmt.Sprint("s", round), 1)
		s.rules(7, rule{"service": "kinesis", "operation": "PutRecords", "stream": *stream, "kind": "partial", "share": 0.3, "error": code, "count": 1})
		out, err := s.client.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: stream, Records: entries(100, 1)})
		if err != nil {
			t.Fatal(err)
		}
		picture, failed := "", int32(0)
		var stored []string
		for i, r := range out.Records {
			if r.ErrorCode == nil {
				picture += "+"
				stored = append(stored, fmt.Sprint(i))
				continue
			}
			picture += "-"
			failed++
			want := "Internal Service Failure"
			if code == rateError {
				want = strings.Replace(shardText, "stream s ", "stream "+*stream+" ", 1)
			}
			if *r.ErrorCode != code || *r.ErrorMessage != want || r.SequenceNumber != nil {
				t.Errorf("entry %d: %s: %s", i, *r.ErrorCode, *r.ErrorMessage)
			}
		}
		if failed < 10 || failed > 60 || failed != *out.FailedRecordCount {
			t.Errorf("%d of 100 failed, %d were counted, at a share of 0.3", failed, *out.FailedRecordCount)
		}
		if got, want := s.read(stream), strings.Join(stored, " "); got != want {
			t.Errorf("the stream holds\n%s\nand was said to hold\n%s", got, want)
		}
		pictures[picture] = true
		again, err := s.client.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: stream, Records: entries(100, 1)})
		if err != nil || *again.FailedRecordCount != 0 {
			t.Errorf("the rule was for one request: %v", err)
		}
	}
	if len(pictures) != 1 {
		t.Errorf("one seed, %d outcomes", len(pictures))
	}
}

func TestErrors(t *testing.T) {
	s := newSuite(t)
	stream, other := s.create("s", 1), s.create("other", 1)
	s.rules(1,
		rule{"operation": "PutRecord", "stream": "s", "kind": "throttle", "count": 1},
		rule{"operation": "PutRecord", "stream": "s", "kind": "error", "error": "KMSDisabledException", "message": "off", "count": 1},
		rule{"operation": "PutRecord", "stream": "s", "kind": "error", "error": "ServiceUnavailable", "count": 1},
		rule{"operation": "GetRecords", "stream": "s", "kind": "error", "error": "ExpiredIteratorException", "count": 1},
	)
	if err := s.put(other, "zero"); err != nil {
		t.Errorf("another stream: %v", err)
	}
	s.refused(s.put(stream, "one"), rateError, "Rate exceeded for stream s under account 000000000000.")
	s.refused(s.put(stream, "two"), "KMSDisabledException", "off")
	err := s.put(stream, "three")
	s.refused(err, "ServiceUnavailable", "injected")
	var status interface{ HTTPStatusCode() int }
	if !errors.As(err, &status) || status.HTTPStatusCode() != 503 {
		t.Errorf("status: %v", err)
	}
	if err := s.put(stream, "four"); err != nil {
		t.Error(err)
	}
	// The stream of a read is known by its iterator alone.
	for _, of := range []*string{other, stream} {
		_, err := s.client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: s.iterator(of)})
		if of == stream {
			s.refused(err, "ExpiredIteratorException", "injected")
		} else if err != nil {
			t.Error(err)
		}
	}
	if got := s.read(stream); got != "four" {
		t.Errorf("stored: %q", got)
	}
	s.aid("DELETE", "/_thalweg/faults", "")
	// With its retries on, the SDK gets over two failures.
	s.rules(1, rule{"operation": "PutRecord", "kind": "throttle", "count": 2})
	patient := sdk.Client(s.server.URL())
	if _, err := patient.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: stream, PartitionKey: aws.String("k"), Data: []byte("five")}); err != nil {
		t.Error(err)
	}
	if got := s.read(stream); got != "four five" {
		t.Errorf("stored: %q", got)
	}
}

// A connection that breaks before the request was done leaves nothing, one that
// breaks after it leaves the record: the client cannot tell.
func TestResets(t *testing.T) {
	s := newSuite(t)
	stream := s.create("s", 1)
	s.rules(1,
		rule{"operation": "PutRecord", "kind": "reset", "count": 1},
		rule{"operation": "PutRecord", "kind": "reset", "after": true, "count": 1},
	)
	for _, data := range []string{"before", "after"} {
		err := s.put(stream, data)
		var api smithy.APIError
		if err == nil || errors.As(err, &api) {
			t.Errorf("%s: %v, want a broken connection", data, err)
		}
	}
	if err := s.put(stream, "whole"); err != nil {
		t.Error(err)
	}
	if got := s.read(stream); got != "after whole" {
		t.Errorf("stored: %q", got)
	}
}

// A delayed request goes on when the clock has come to its time.
func TestLatency(t *testing.T) {
	s := newSuite(t)
	stream := s.create("s", 1)
	s.rules(1, rule{"operation": "PutRecord", "kind": "latency", "ms": 600_000})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := inBackground(ctx, func(context.Context) error { return s.put(stream, "late") })
	for s.hits() == 0 && ctx.Err() == nil { // until it waits
	}
	if got := s.read(stream); got != "" {
		t.Errorf("stored before its time: %q", got)
	}
	s.advance("10m")
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-ctx.Done():
		t.Fatal("no answer")
	}
	if got := s.read(stream); got != "late" {
		t.Errorf("stored: %q", got)
	}
}
