package app

import (
	"net/http"
	"strings"
	"testing"

	"thalweg/internal/catalog"
	"thalweg/internal/config"
	"thalweg/internal/streams"
)

// The test aids ask for no credentials, so pages of other sites must not reach
// them through a browser on this machine, whatever --auth says.
func TestTestAidsRefuseForeignPages(t *testing.T) {
	for _, auth := range []config.Auth{config.AuthOpen, config.AuthStrict} {
		c := testConfig(t)
		c.TestAids, c.Auth = true, auth
		s := mustStart(t, c)
		for origin, want := range map[string]int{"https://evil.example": 403, "null": 403, "http://localhost:3000": 200} {
			if status, body := send(t, "POST", s.Addresses().HTTP+"/_thalweg/reset", "", "Origin", origin); status != want {
				t.Errorf("%s: reset from %s: %d %s", auth, origin, status, body)
			}
		}
		req, err := http.NewRequestWithContext(t.Context(), "POST", s.Addresses().HTTP+"/_thalweg/reset", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Host, req.Close = "rebound.example", true
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 403 {
			t.Errorf("%s: reset by a foreign name: %d", auth, resp.StatusCode)
		}
	}
}

func TestClockStopsAtItsEnd(t *testing.T) {
	c := testConfig(t)
	c.TestAids = true
	s := mustStart(t, c)
	ok := 0
	for range 4 {
		before := s.clock.Now()
		status, body := send(t, "POST", s.Addresses().HTTP+"/_thalweg/clock", `{"advance":"400000h"}`)
		if s.clock.Now().Before(before) {
			t.Fatalf("the clock went back: %d %s", status, body)
		}
		if status == 200 {
			ok++
		} else if status != 400 || !strings.Contains(body, "100 years") {
			t.Errorf("%d %s", status, body)
		}
	}
	if ok != 2 {
		t.Errorf("moved %d times by 45 years", ok)
	}
	if status, _ := send(t, "POST", s.Addresses().HTTP+"/_thalweg/clock", `{"advance":"2562047h"}`); status != 400 {
		t.Errorf("292 years: %d", status)
	}
}

func TestFaultsEndpoint(t *testing.T) {
	c := testConfig(t)
	s := mustStart(t, c)
	faults := s.Addresses().HTTP + "/_thalweg/faults"
	rule := `{"rules":[{"operation":"PutRecord","kind":"error","error":"InternalFailure"}]}`
	if status, body := send(t, "POST", faults, rule); status != 404 {
		t.Errorf("without test aids: %d %s", status, body)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	c = testConfig(t)
	c.TestAids = true
	s = mustStart(t, c)
	faults = s.Addresses().HTTP + "/_thalweg/faults"
	for _, step := range []struct {
		method, body string
		status       int
		want         string
	}{
		{"POST", rule, 200, `{"rules":[{"operation":"PutRecord","kind":"error","error":"InternalFailure","met":0,"hit":0}]}`},
		{"POST", `{"rules":[{"operation":"PutRecord","kind":"throttle","rat":1}]}`, 400, `unknown field \"rat\"`},
		{"POST", `{"rules":[{"operation":"PutRecord","kind":"throttle","rate":2}]}`, 400, "rule 1: the rate must be above 0"},
		{"POST", `{"rules":`, 400, "the body is not what is expected"},
		{"GET", "", 200, `"hit":0`},
		{"PUT", rule, 405, ""},
		{"DELETE", "", 200, `{"rules":[]}`},
	} {
		if status, body := send(t, step.method, faults, step.body); status != step.status || !strings.Contains(body, step.want) {
			t.Errorf("%s %s: %d %s", step.method, step.body, status, body)
		}
	}
}

// TestResetRemovesEverything has nothing stand in the way of a reset: neither
// consumers and queues nor topics.
func TestResetRemovesEverything(t *testing.T) {
	c := testConfig(t)
	c.TestAids = true
	s := mustStart(t, c)
	const arn = `arn:aws:kinesis:us-east-1:000000000000:stream/s`
	for _, req := range [][2]string{
		{"CreateStream", `{"StreamName":"s","StreamModeDetails":{"StreamMode":"ON_DEMAND"}}`},
		{"RegisterStreamConsumer", `{"StreamARN":"` + arn + `","ConsumerName":"c"}`},
		{"CreateQueue", `{"QueueName":"q","StreamConfigurationList":[{"StreamARN":"` + arn + `"}]}`},
	} {
		if status, body := call(t, s, req[0], req[1]); status != 200 {
			t.Fatalf("%s: %d %s", req[0], status, body)
		}
	}
	if err := s.streams.Create(t.Context(), streams.NewStream{
		Scope: catalog.Scope{Account: defaultClusterAccount, Region: "us-east-1"}, Name: "topic", Mode: catalog.Provisioned, Shards: 2,
		Topic: &catalog.Topic{Replicas: 1},
	}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"streams_removed":2`, `"streams_removed":0`} {
		if status, body := send(t, "POST", s.Addresses().HTTP+"/_thalweg/reset", ""); status != 200 || !strings.Contains(body, want) {
			t.Errorf("reset: %d %s, want %s", status, body, want)
		}
	}
	if n := len(s.streams.AllQueues()); n != 0 {
		t.Errorf("%d queues are left", n)
	}
}
