package opensearch

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"thalweg/internal/delivery/dest"
	"thalweg/internal/delivery/dest/desttest"
	"thalweg/internal/egress"
)

// indices are what a small search engine keeps: documents by index and id.
type indices struct {
	mu       sync.Mutex
	docs     map[string]map[string]string
	order    []string
	requests int
	largest  int                                    // of the requests' bodies
	limit    int                                    // 413 above it
	refuse   func(doc string) (int, string)         // a document's status and error
	instead  func(w http.ResponseWriter) (did bool) // an answer of another kind
	next     int
}

func (x *indices) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.requests++
	if x.instead != nil && x.instead(w) {
		return
	}
	if x.limit > 0 && r.ContentLength > int64(x.limit) {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	x.largest = max(x.largest, int(r.ContentLength))
	if r.Method != http.MethodPost || r.URL.Path != "/base/_bulk" || r.Header.Get("Content-Type") != "application/x-ndjson" {
		http.Error(w, r.URL.Path, http.StatusBadRequest)
		return
	}
	var items []any
	for lines := bufio.NewReader(r.Body); ; {
		action, err := lines.ReadString('\n')
		if err != nil {
			break
		}
		doc, err := lines.ReadString('\n')
		var a struct {
			Index struct {
				Index string `json:"_index"`
				ID    string `json:"_id"`
				Type  string `json:"_type"`
			}
		}
		if err != nil || json.Unmarshal([]byte(action), &a) != nil || !json.Valid([]byte(doc)) {
			http.Error(w, "no bulk request", http.StatusBadRequest)
			return
		}
		doc = strings.TrimSuffix(doc, "\n")
		status, why := 201, ""
		if x.refuse != nil {
			if s, e := x.refuse(doc); s != 0 {
				status, why = s, e
			}
		}
		item := map[string]any{"status": status}
		if status < 300 {
			if a.Index.ID == "" {
				x.next++
				a.Index.ID = fmt.Sprint("made ", x.next)
			}
			if x.docs[a.Index.Index] == nil {
				x.docs[a.Index.Index] = map[string]string{}
			}
			x.docs[a.Index.Index][a.Index.ID] = doc
			x.order = append(x.order, doc)
		} else {
			item["error"] = map[string]string{"type": why}
		}
		items = append(items, map[string]any{"index": item})
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"errors": false, "items": items})
}

func (x *indices) count() (n int) {
	for _, docs := range x.docs {
		n += len(docs)
	}
	return n
}

func open(t *testing.T, x *indices, kind, more string) dest.Destination {
	t.Helper()
	x.docs = map[string]map[string]string{}
	web := httptest.NewServer(x)
	t.Cleanup(web.Close)
	p, err := egress.New(true, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range Specs(p) {
		if s.Kind != kind {
			continue
		}
		endpoint := "ClusterEndpoint"
		if kind == "AmazonOpenSearchServerless" {
			endpoint = "CollectionEndpoint"
		}
		c := dest.Config(fmt.Sprintf(`{%q:%q,"IndexName":"games"%s}`, endpoint, web.URL+"/base", more))
		if err := s.Check(c); err != nil {
			t.Fatal(err)
		}
		if !json.Valid([]byte(s.Defaults)) {
			t.Errorf("defaults: %s", s.Defaults)
		}
		d, err := s.Open(c, (&desttest.Files{}).Env())
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	t.Fatal(kind)
	return nil
}

// TestDeliver writes documents once, however often the batch is delivered.
func TestDeliver(t *testing.T) {
	for _, kind := range []string{"Elasticsearch", "Amazonopensearchservice", "AmazonOpenSearchServerless"} {
		x := &indices{}
		d := open(t, x, kind, "")
		b := desttest.Batch(`{"a":1}`, " { \"a\" :\n 2 } \n", `{"a":1}`)
		for range 3 {
			if res, err := d.Deliver(t.Context(), b); err != nil || len(res.Rejected) != 0 {
				t.Fatal(res, err)
			}
		}
		if x.count() != 3 || strings.Join(x.order[:3], "") != `{"a":1}{"a":2}{"a":1}` {
			t.Errorf("%s: %v", kind, x.docs)
		}
	}
	x := &indices{}
	d := open(t, x, "Amazonopensearchservice", `,"DocumentIdOptions":{"DefaultDocumentIdFormat":"NO_DOCUMENT_ID"}`)
	for range 2 {
		if _, err := d.Deliver(t.Context(), desttest.Batch(`{}`)); err != nil {
			t.Fatal(err)
		}
	}
	if x.count() != 2 {
		t.Errorf("without ids: %v", x.docs)
	}
}

// TestIDs: an id stands for one place, in one delivery stream.
func TestIDs(t *testing.T) {
	seen := map[string]bool{}
	for _, arn := range []string{"a", "b"} {
		d := &index{stream: dest.Stream{ARN: arn}}
		desttest.Batch("1", "2").Records(t.Context(), func(r *dest.Record) error {
			for r.Sub = range 2 {
				for r.Partition.Index = range uint32(2) {
					seen[d.idOf(r)] = true
				}
			}
			return nil
		})
	}
	if len(seen) != 16 {
		t.Errorf("%d ids of 16 places", len(seen))
	}
}

func TestRotation(t *testing.T) {
	at := func(s string) int64 {
		t, err := time.Parse("2006-01-02T15", s)
		if err != nil {
			panic(err)
		}
		return t.UnixMilli()
	}
	for _, c := range [][3]string{
		{"NoRotation", "2016-02-25T13", "games"}, {"", "2016-02-25T13", "games"},
		{"OneHour", "2016-02-25T13", "games-2016-02-25-13"}, {"OneDay", "2016-02-25T13", "games-2016-02-25"},
		{"OneMonth", "2016-02-25T13", "games-2016-02"},
		{"OneWeek", "2017-01-01T00", "games-2017-w01"}, {"OneWeek", "2017-01-07T23", "games-2017-w01"},
		{"OneWeek", "2017-01-08T00", "games-2017-w02"}, {"OneWeek", "2016-12-31T23", "games-2016-w53"},
		{"OneWeek", "2021-12-26T00", "games-2022-w01"}, {"OneWeek", "2022-12-31T23", "games-2022-w53"},
	} {
		d := &index{config: config{IndexName: "games", IndexRotationPeriod: c[0]}}
		if got := d.indexOf(at(c[1])); got != c[2] {
			t.Errorf("%s %s: %s, want %s", c[0], c[1], got, c[2])
		}
	}
}

// TestRejected: what the index refuses and what is no document is told, and the rest is
// written.
func TestRejected(t *testing.T) {
	x := &indices{refuse: func(doc string) (int, string) {
		if strings.Contains(doc, "bad") {
			return 400, "mapper_parsing_exception"
		}
		return 0, ""
	}}
	d := open(t, x, "Amazonopensearchservice", `,"IndexRotationPeriod":"OneDay"`)
	res, err := d.Deliver(t.Context(), desttest.Batch(`{"n":1}`, `{"bad":1}`, `[1]`, `{"n":2}`, `{"n":`, ``, `{"bad":2}`, `{"n":3}`, `{}{}`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range res.Rejected {
		got = append(got, fmt.Sprint(r.Index, " ", r.Code))
		if len(r.Fields["esDocumentId"]) != 32 || r.Fields["esIndexName"] != "games-2026-11-22" || r.Attempts != 1 || r.Message == "" {
			t.Errorf("%+v", r)
		}
	}
	if want := "1 400,2 400,4 400,5 400,6 400,8 400"; strings.Join(got, ",") != want || strings.Join(x.order, "") != `{"n":1}{"n":2}{"n":3}` {
		t.Errorf("%v, written %v", got, x.order)
	}
}

// TestFailures: what may pass is tried again, by its class, and leaves nothing rejected.
func TestFailures(t *testing.T) {
	say := func(status int, body string) func(http.ResponseWriter) bool {
		return func(w http.ResponseWriter) bool {
			w.WriteHeader(status)
			fmt.Fprint(w, body)
			return true
		}
	}
	full := func(status int) func(string) (int, string) {
		return func(doc string) (int, string) {
			if doc == `{"n":2}` {
				return status, "es_rejected_execution_exception"
			}
			return 400, "no"
		}
	}
	for name, c := range map[string]struct {
		x     *indices
		code  string
		class dest.Class
	}{
		"too busy":      {&indices{instead: say(429, "")}, "ES.ServiceException", dest.Throttled},
		"down":          {&indices{instead: say(502, "")}, "ES.ServiceException", dest.Retryable},
		"forbidden":     {&indices{instead: say(403, "")}, "ES.AccessDenied", dest.Retryable},
		"not there":     {&indices{instead: say(404, "")}, "ES.ResourceNotFound", dest.Retryable},
		"a page":        {&indices{instead: say(200, "<html>")}, "ES.ServiceException", dest.Retryable},
		"says nothing":  {&indices{instead: say(200, `{"errors":false,"items":[]}`)}, "ES.ServiceException", dest.Retryable},
		"says too much": {&indices{instead: say(200, strings.Repeat(" ", answerBytes+1))}, "ES.ServiceException", dest.Retryable},
		"another verb":  {&indices{instead: say(200, `{"items":[{"create":{"status":201}},{"index":{"status":201}}]}`)}, "ES.ServiceException", dest.Retryable},
		"one is busy":   {&indices{refuse: full(429)}, "ES.ServiceException", dest.Throttled},
		"one fails":     {&indices{refuse: full(500)}, "ES.ServiceException", dest.Retryable},
	} {
		d := open(t, c.x, "Elasticsearch", "")
		res, err := d.Deliver(t.Context(), desttest.Batch(`{"n":1}`, `{"n":2}`))
		var e *dest.Error
		if !errors.As(err, &e) || e.Code != c.code || e.Class != c.class || len(res.Rejected) != 0 {
			t.Errorf("%s: %v, %+v", name, err, res)
		}
	}
}

// TestLargeBatches go in requests that the destination takes.
func TestLargeBatches(t *testing.T) {
	var data []string
	for i := range 60 {
		data = append(data, fmt.Sprintf(`{"n":%d,"x":%q}`, i, strings.Repeat("x", 200_000)))
	}
	x := &indices{}
	d := open(t, x, "Elasticsearch", "")
	if _, err := d.Deliver(t.Context(), desttest.Batch(data...)); err != nil || x.count() != 60 || x.largest > chunkBytes+300_000 || x.requests > 4 {
		t.Errorf("%v, %d documents, %d requests, the largest of %d", err, x.count(), x.requests, x.largest)
	}
	x = &indices{limit: 500_000}
	d = open(t, x, "Elasticsearch", "")
	data[7] = `{"n":7,"x":"` + strings.Repeat("y", 600_000) + `"}`
	res, err := d.Deliver(t.Context(), desttest.Batch(data...))
	if err != nil || x.count() != 59 || len(res.Rejected) != 1 || res.Rejected[0].Index != 7 || res.Rejected[0].Code != "413" {
		t.Errorf("%v, %d documents, %+v", err, x.count(), res)
	}
	for i, doc := range x.order {
		n := i
		if i >= 7 {
			n++ // the seventh was refused
		}
		if want := fmt.Sprintf(`{"n":%d,`, n); !strings.HasPrefix(doc, want) {
			t.Fatalf("document %d is %.20s", i, doc)
		}
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	x := &indices{instead: func(http.ResponseWriter) bool { cancel(); <-ctx.Done(); return false }}
	d := open(t, x, "Elasticsearch", "")
	if _, err := d.Deliver(ctx, desttest.Batch(`{}`)); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestCheck(t *testing.T) {
	s := Specs(&egress.Policy{})[1]
	for _, c := range []string{
		`{"IndexName":"a"}`, `{"IndexName":"a","DomainARN":"arn:aws:es:us-east-1:000000000000:domain/d"}`,
		`{"IndexName":"a","DomainARN":"arn:x","ClusterEndpoint":"https://x"}`, `{"IndexName":"A","ClusterEndpoint":"https://x"}`,
		`{"IndexName":"_a","ClusterEndpoint":"https://x"}`, `{"IndexName":"a b","ClusterEndpoint":"https://x"}`,
		`{"IndexName":"a","ClusterEndpoint":"https://u:p@x"}`, `{"IndexName":"a","ClusterEndpoint":"https:x"}`,
		`{"IndexName":"a","ClusterEndpoint":"https://x?y=1"}`, `{"IndexName":"a","ClusterEndpoint":"https://x","VpcConfigurationDescription":{}}`,
	} {
		if s.Check(dest.Config(c)) == nil {
			t.Errorf("taken: %s", c)
		}
	}
	if err := s.Check(dest.Config(`{"IndexName":"a-b.c","ClusterEndpoint":"https://x:9200/"}`)); err != nil {
		t.Error(err)
	}
}
