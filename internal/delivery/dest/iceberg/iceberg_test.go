package iceberg

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"thalweg/internal/delivery/dest"
	"thalweg/internal/delivery/dest/desttest"
	"thalweg/internal/lake"
	"thalweg/internal/objstore"
	"thalweg/internal/vfs"
)

var records = []string{`{"id":1,"map":"a"}`, `{"id":2,"map":"b"}`, `{"id":"x"}`, `{"id":3,"map":"a"}`, `{"id":4}`, `no JSON`}

func check(t *testing.T, what string, res dest.Result, err error, rows []string, want ...string) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	var rejected []int
	for _, r := range res.Rejected {
		rejected = append(rejected, r.Index)
	}
	if !slices.Equal(rejected, []int{2, 5}) || len(res.Objects) != 3 {
		t.Errorf("%s: rejected %v, %d objects", what, rejected, len(res.Objects))
	}
	if !slices.Equal(rows, want) {
		t.Errorf("%s: the table has %v, want %v", what, rows, want)
	}
}

// TestFaults has every call of a delivery fail, before it has an effect and after, and
// the delivery tried again.
func TestFaults(t *testing.T) {
	for _, before := range []int{0, 1} { // batches that are in the table already
		for _, after := range []bool{false, true} {
			for fault := 1; ; fault++ {
				w := newWorld(t)
				w.create(t, games, schema, byMap)
				want := []string{"1", "2", "3", "4"}
				if before == 1 {
					_, err := w.deliver(t, config, batch("before", `{"id":5}`))
					must(t, err)
					want = append(want, "5")
				}
				w.calls, w.fault, w.after, w.names = 0, fault, after, nil
				_, err := w.deliver(t, config, batch("plan", records...))
				if err == nil {
					if fault < 7 {
						t.Errorf("only calls %v", w.names)
					}
					break
				}
				what := fmt.Sprintf("call %d of %v, after %v", fault, w.names, after)
				if !errors.Is(err, errInjected) || dest.ClassOf(err) == dest.Permanent {
					t.Fatalf("%s: %v", what, err)
				}
				var e *dest.Error
				if !errors.As(err, &e) || e.Untouched == (w.names[fault-1] == "commit") || e.Arrived != nil {
					t.Errorf("%s: %+v", what, e)
				}
				w.fault = 0
				res, err := w.deliver(t, config, batch("plan", records...))
				check(t, what, res, err, w.rows(t, games), want...)
				res, err = w.deliver(t, config, batch("plan", records...)) // the ledger was not told
				check(t, what, res, err, w.rows(t, games), want...)
			}
		}
	}
}

// TestPowerCut cuts the power at call after call of the files under a delivery.
func TestPowerCut(t *testing.T) {
	run := func(m *vfs.Mem, arm bool, at int) int {
		must(t, errors.Join(m.MkdirAll("/data", 0o700), m.SyncDir("/")))
		w, err := open(m)
		must(t, err)
		must(t, w.objects.CreateBucket(ctx, objstore.Bucket{Name: "lake", Owner: scope.Account}))
		must(t, w.CreateNamespace(ctx, scope, games.Namespace, nil))
		w.create(t, games, schema, byMap)
		_, err = w.deliver(t, config, batch("before", `{"id":5}`))
		must(t, err)
		first := m.Calls()
		if arm {
			m.Inject(func(op vfs.Op) error {
				if op.N == first+at {
					return vfs.ErrPowerCut
				}
				return nil
			})
		}
		_, err = w.deliver(t, config, batch("plan", records...))
		if err != nil && !arm {
			t.Fatal(err)
		}
		return m.Calls() - first
	}
	total := run(vfs.NewMem(1), false, 0)
	tried := 0
	for at := 1; at <= total; at++ {
		m := vfs.NewMem(uint64(at))
		run(m, true, at)
		w, err := open(m.Crash(uint64(at)))
		must(t, err)
		what := fmt.Sprintf("power cut at call %d of %d", at, total)
		if rows := w.rows(t, games); !slices.Equal(rows, []string{"5"}) && len(rows) != 5 {
			t.Errorf("%s: the table has %v", what, rows)
		}
		res, err := w.deliver(t, config, batch("plan", records...))
		check(t, what, res, err, w.rows(t, games), "1", "2", "3", "4", "5")
		tried++
	}
	if tried < 30 {
		t.Errorf("only %d points", tried)
	}
	t.Logf("%d points", tried)
}

// TestOthers has other clients change the table between an attempt's look at it and its
// commit, and between attempts.
func TestOthers(t *testing.T) {
	newer := `[{"action":"add-schema","schema":{"type":"struct","fields":[{"id":1,"name":"id","required":true,"type":"long"},` +
		`{"id":2,"name":"map","required":false,"type":"string"},{"id":3,"name":"level","required":false,"type":"string"}]}},{"action":"set-current-schema","schema-id":-1}]`
	rng := rand.New(rand.NewPCG(7, 7))
	for round := range 60 {
		w := newWorld(t)
		w.create(t, games, schema, byMap)
		want := []string{}
		others := []func(){
			func() {},
			func() { // another delivery stream's
				calls, fault := w.calls, w.fault
				defer func() { w.calls, w.fault = calls, fault }()
				w.fault = 0
				b := batch(fmt.Sprint("other", len(want)), `{"id":7}`)
				b.Stream.ARN += "2"
				_, err := w.deliver(t, config, b)
				must(t, err)
				want = append(want, "7")
			},
			func() { w.change(t, games, newer) },
			func() { w.change(t, games, `[{"action":"set-properties","updates":{"a":"b"}}]`) },
			func() { // the snapshot's history goes, and with it all but the property
				m := w.metadata(t, games)
				head, _ := m.Head()
				for _, s := range m.Snapshots {
					if s.ID != *head {
						w.change(t, games, fmt.Sprintf(`[{"action":"remove-snapshots","snapshot-ids":[%d]}]`, s.ID))
					}
				}
			},
			func() { // the property goes, and the summary stays
				w.change(t, games, fmt.Sprintf(`[{"action":"remove-properties","removals":["thalweg.delivery.%s"]}]`, desttest.Stream.ARN))
			},
		}
		_, err := w.deliver(t, config, batch("first", `{"id":5}`))
		must(t, err)
		want = append(want, "5", "1", "2", "3", "4")
		var done []string
		for try := 0; ; try++ {
			w.calls, w.fault, w.after = 0, 1+rng.IntN(10), rng.IntN(2) == 0
			if try == 6 {
				w.fault = 0
			}
			which := rng.IntN(len(others))
			w.between = others[which]
			done = append(done, fmt.Sprintf("fault %d %v, between %d", w.fault, w.after, which))
			res, err := w.deliver(t, config, batch("plan", records...))
			w.between, w.fault = nil, 0
			if err == nil {
				slices.Sort(want)
				check(t, fmt.Sprint(round, done), res, err, w.rows(t, games), want...)
				break
			}
			if !errors.Is(err, errInjected) {
				t.Fatal(round, done, err)
			}
			which = rng.IntN(len(others))
			done = append(done, fmt.Sprintf("after %d", which))
			others[which]()
		}
	}
}

// TestRejectedAsCommitted has a batch's schema change between its commit and the next
// attempt: what is rejected follows from the schema of the commit.
func TestRejectedAsCommitted(t *testing.T) {
	w := newWorld(t)
	w.create(t, games, schema, byMap)
	b := batch("plan", `{"id":1}`, `{"id":2,"map":5}`, `{"id":3,"level":4}`)
	res, err := w.deliver(t, config, b)
	must(t, err)
	w.change(t, games, `[{"action":"add-schema","schema":{"type":"struct","fields":[{"id":1,"name":"id","required":true,"type":"long"},`+
		`{"id":9,"name":"map","required":false,"type":"long"},{"id":3,"name":"level","required":true,"type":"string"}]}},{"action":"set-current-schema","schema-id":-1},`+
		`{"action":"add-spec","spec":{"fields":[]}},{"action":"set-default-spec","spec-id":-1}]`)
	again, err := w.deliver(t, config, b)
	must(t, err)
	if len(res.Rejected) != 1 || res.Rejected[0].Index != 1 || fmt.Sprint(res) != fmt.Sprint(again) {
		t.Errorf("first %v, then %v", res, again)
	}
	res, err = w.deliver(t, config, batch("next", `{"id":4,"map":5,"level":"x"}`, `{"id":5,"map":"a","level":"x"}`))
	if must(t, err); len(res.Rejected) != 1 || res.Rejected[0].Index != 1 {
		t.Error(res)
	}
	if rows := w.rows(t, games); !slices.Equal(rows, []string{"1", "3", "4"}) {
		t.Error(rows)
	}
}

// TestRoutes sends records where their keys say.
func TestRoutes(t *testing.T) {
	w := newWorld(t)
	other := lake.Ident{Namespace: games.Namespace, Name: "other"}
	w.create(t, games, schema, byMap)
	w.create(t, other, schema, `{"fields":[]}`)
	b := batch("plan", `{"id":1}`, `{"id":2}`, `{"id":3}`, `{"id":4}`, `{"id":5}`, `{"id":6}`, `{"id":7}`)
	keys := []map[string]string{nil, {"query:destinationDatabaseName": "game", "query:destinationTableName": "other"},
		{"lambda:destinationDatabaseName": "game", "lambda:destinationTableName": "other", "lambda:operation": "insert"},
		{"lambda:destinationDatabaseName": "game", "lambda:destinationTableName": "other", "lambda:operation": "update"},
		{"query:destinationDatabaseName": "game", "query:destinationTableName": ""}, {"query:destinationDatabaseName": "game", "query:destinationTableName": "none"},
		{"lambda:destinationTableName": "other"}}
	read := b.Records
	b.Records = func(ctx context.Context, yield func(*dest.Record) error) error {
		i := 0
		return read(ctx, func(r *dest.Record) error {
			r.Keys = keys[i]
			i++
			return yield(r)
		})
	}
	res, err := w.deliver(t, config, b)
	must(t, err)
	var codes []string
	for _, r := range res.Rejected {
		codes = append(codes, fmt.Sprint(r.Index, " ", r.Code))
	}
	if got := strings.Join(codes, ", "); got != "3 Iceberg.UnsupportedOperation, 4 Iceberg.InvalidTableName, 5 Iceberg.NoSuchTable, 6 Iceberg.InvalidTableName" {
		t.Error(got)
	}
	if a, b := w.rows(t, games), w.rows(t, other); !slices.Equal(a, []string{"1"}) || !slices.Equal(b, []string{"2", "3"}) {
		t.Error(a, b)
	}
	// The commit of the second table fails: what is in the first has arrived.
	second := 0
	for i, what := range w.names {
		if what == "commit" {
			second = i + 1
		}
	}
	b.Plan = "again"
	w.calls, w.fault = 0, second
	_, err = w.deliver(t, config, b)
	var e *dest.Error
	if !errors.As(err, &e) || !errors.Is(err, errInjected) || e.Arrived == nil || e.Untouched {
		t.Fatalf("%+v", err)
	}
	for i, want := range []bool{true, false, false, false, false, false, false} {
		if e.Arrived(i) != want {
			t.Errorf("record %d has arrived: %v", i, !want)
		}
	}
	w.fault = 0
	_, err = w.deliver(t, config, b)
	must(t, err)
	if a, b := w.rows(t, games), w.rows(t, other); !slices.Equal(a, []string{"1", "1"}) || !slices.Equal(b, []string{"2", "2", "3", "3"}) {
		t.Error(a, b)
	}
}

// TestAccounts keeps a delivery stream within its account.
func TestAccounts(t *testing.T) {
	w := newWorld(t)
	must(t, w.objects.CreateBucket(ctx, objstore.Bucket{Name: "theirs", Owner: "111111111111"}))
	var files desttest.Files
	_, err := Spec(w, nil).Open(dest.Config(strings.Replace(config, "000000000000", "111111111111", 1)), files.Env())
	if err == nil || !strings.Contains(err.Error(), "is another account's") {
		t.Error(err)
	}
	w.create(t, games, schema, byMap)
	w.change(t, games, `[{"action":"set-properties","updates":{"write.data.path":"s3://theirs/x"}}]`)
	_, err = w.deliver(t, config, batch("plan", records...))
	var e *dest.Error
	if !errors.As(err, &e) || e.Class != dest.Permanent || e.Code != "S3.AccessDenied" {
		t.Error(err)
	}
	w.change(t, games, `[{"action":"remove-properties","removals":["write.data.path"]}]`)
	// A snapshot whose list is in another account's bucket is not read.
	_, err = w.deliver(t, config, batch("first", `{"id":1}`))
	must(t, err)
	head, _ := w.metadata(t, games).Head()
	w.change(t, games, fmt.Sprintf(`[{"action":"add-snapshot","snapshot":{"snapshot-id":5,"parent-snapshot-id":%d,"sequence-number":2,"timestamp-ms":1,
		"manifest-list":"s3://theirs/list","summary":{"operation":"append"},"schema-id":0}},{"action":"set-snapshot-ref","ref-name":"main","type":"branch","snapshot-id":5}]`, *head))
	_, err = w.deliver(t, config, batch("plan", records...))
	if !errors.As(err, &e) || e.Code != "S3.AccessDenied" {
		t.Error(err)
	}
	page, err := w.objects.List(ctx, "theirs", objstore.ListOptions{})
	if must(t, err); len(page.Objects) != 0 {
		t.Error("another account's bucket was written to")
	}
}

func TestNoTable(t *testing.T) {
	w := newWorld(t)
	_, err := w.deliver(t, config, batch("plan", records...))
	var e *dest.Error
	if !errors.As(err, &e) || e.Class != dest.Permanent || e.Code != "Iceberg.NoSuchTable" || !e.Untouched {
		t.Error(err)
	}
	w.create(t, games, `{"type":"struct","fields":[{"id":1,"name":"id","required":true,"type":"variant"}]}`, `{"fields":[]}`)
	_, err = w.deliver(t, config, batch("plan", records...))
	if !errors.As(err, &e) || e.Class != dest.Permanent || e.Code != "Iceberg.UnsupportedTable" {
		t.Error(err)
	}
}

// TestManyPartitions rejects records beyond the bound.
func TestManyPartitions(t *testing.T) {
	w := newWorld(t)
	w.create(t, games, schema, byMap)
	var many []string
	for i := range maxPartitions + 3 {
		many = append(many, fmt.Sprintf(`{"id":%d,"map":"%d"}`, i, i))
	}
	res, err := w.deliver(t, config, batch("plan", many...))
	if must(t, err); len(res.Rejected) != 3 || res.Rejected[0].Code != "Iceberg.TooManyPartitions" || len(res.Objects) != maxPartitions {
		t.Errorf("%d rejected, %d objects", len(res.Rejected), len(res.Objects))
	}
	if n := len(w.rows(t, games)); n != maxPartitions {
		t.Errorf("%d rows", n)
	}
}

func TestCheck(t *testing.T) {
	for more, want := range map[string]string{
		`"CatalogConfiguration":{}`: "CatalogARN must be specified",
		`"CatalogConfiguration":{"CatalogARN":"arn:aws:glue:us-east-1:000000000000:catalog/s3tables/b"}`:                                                              "only an account's own",
		`"CatalogConfiguration":{"WarehouseLocation":"s3://b/w"}`:                                                                                                     "WarehouseLocation is not supported",
		`"TableCreationConfiguration":{"Enabled":true}`:                                                                                                               "TableCreationConfiguration is not supported",
		`"SchemaEvolutionConfiguration":{"Enabled":true}`:                                                                                                             "SchemaEvolutionConfiguration is not supported",
		`"TableCreationConfiguration":{"Enabled":false},"SchemaEvolutionConfiguration":{"Enabled":false}`:                                                             "",
		`"BufferingHints":{"SizeInMBs":5}`:                                                                                                                            "must both be specified",
		`"DestinationTableConfigurationList":[{"DestinationDatabaseName":"d","DestinationTableName":"t","UniqueKeys":["a"]}]`:                                         "UniqueKeys are not supported",
		`"DestinationTableConfigurationList":[{"DestinationDatabaseName":"d","DestinationTableName":"t","PartitionSpec":{"Identity":[]}}]`:                            "PartitionSpec is not supported",
		`"DestinationTableConfigurationList":[{"DestinationDatabaseName":"d","DestinationTableName":"t","S3ErrorOutputPrefix":"e/"}]`:                                 "S3ErrorOutputPrefix of a table",
		`"DestinationTableConfigurationList":[{"DestinationDatabaseName":"d","DestinationTableName":"t"},{"DestinationDatabaseName":"d","DestinationTableName":"t"}]`: "configured twice",
	} {
		members := map[string]json.RawMessage{}
		must(t, json.Unmarshal([]byte(config), &members))
		patch := map[string]json.RawMessage{}
		must(t, json.Unmarshal([]byte("{"+more+"}"), &patch))
		maps.Copy(members, patch)
		c, err := json.Marshal(members)
		must(t, err)
		err = Spec(nil, nil).Check(c)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", more, err, want)
		}
	}
}
