package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"thalweg/internal/delivery/dest"
	"thalweg/internal/delivery/dest/desttest"
	"thalweg/internal/delivery/dest/redshift"
	"thalweg/internal/egress"
)

// open opens the destination on a database, into a table.
func (s *Server) open(t *testing.T, table, columns, options string) dest.Destination {
	t.Helper()
	p, err := egress.New(true, nil)
	if err != nil {
		t.Fatal(err)
	}
	spec := redshift.Spec(p)
	c := dest.Config(fmt.Sprintf(`{"ClusterJDBCURL":"jdbc:postgresql://127.0.0.1:%d/game","Username":"thalweg","Password":"sealed secret",`+
		`"CopyCommand":{"DataTableName":%q,"DataTableColumns":%q,"CopyOptions":%q}}`, s.Port, table, columns, options))
	if err := spec.Check(c); err != nil {
		t.Fatal(err)
	}
	d, err := spec.Open(c, (&desttest.Files{}).Env())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func planned(plan string, data ...string) dest.Batch {
	b := desttest.Batch(data...)
	b.Plan = plan
	return b
}

func TestRedshift(t *testing.T) {
	s := Start(t)
	t.Run("once", s.once)
	t.Run("formats", s.formats)
	t.Run("poison", s.poison)
	t.Run("spans", s.spans)
	t.Run("errors", s.errors)
	t.Run("kills", s.kills)
}

// once delivers batches again and again.
func (s *Server) once(t *testing.T) {
	s.In(`CREATE TABLE once (id bigint, "at" timestamptz, note text, more jsonb)`)
	d := s.open(t, "public.ONCE", "", "json 'auto'")
	for _, plan := range []string{"one", "one", "two", "two", "one again"} {
		res, err := d.Deliver(t.Context(), planned(plan, `{"id":1,"at":"2026-11-22T13:14:15Z","note":"tab\tquote\"\\\n`+"\\u00e4"+`","more":{"a":[1, 2]},"x":0}`,
			"{\"id\":2}\n{\"note\":null,\"id\":3}", "", `{"id":true}`))
		if err != nil || len(res.Rejected) != 1 || res.Rejected[0].Index != 3 || res.Rejected[0].Code != "Redshift.DataLoadFailed" {
			t.Fatalf("%s: %+v, %v", plan, res, err)
		}
	}
	if got := s.In("SELECT count(*), count(DISTINCT id), count(note), min(at) FROM once"); got != "9|3|3|2026-11-22 13:14:15+00" {
		t.Error(got)
	}
	if got := s.In(`SELECT note = E'tab\tquote"\\\n` + "\u00e4" + `', more FROM once WHERE id = 1 LIMIT 1`); got != `t|{"a": [1, 2]}` {
		t.Error(got)
	}
	if got := s.In("SELECT plan, offsets FROM thalweg_delivery"); !strings.HasPrefix(got, "one again|{\"") || !strings.Contains(got, ": 104}") {
		t.Error(got)
	}
}

// formats loads rows of every form.
func (s *Server) formats(t *testing.T) {
	s.In("CREATE TABLE formats (a text, b int, c text)")
	for i, c := range []struct {
		columns, options string
		data             []string
		want             string
		rejected         string
	}{
		{"", "", []string{"x|1|y\n", `a\b|2|` + "\n", `\N|3|\N` + "\n"}, `x|1|y,a\b|2|,NULL|3|NULL`, ""},
		{"a,b", "delimiter '\\t' null as 'none'", []string{"x\t1", "0\ny\tnone\n"}, `x|10|NULL,y|NULL|NULL`, ""},
		{"", "DELIMITER ',' ESCAPE gzip", []string{"a\\,b,1,c\\\\d\r\n", "\\.\n", "z,2,z"}, `a,b|1|c\d,z|2|z`, "1"},
		{"c, A", "csv", []string{"\"one\ntwo\",\"x,\"\"y\"\"\"\n", "s,t\n", "\\.\n", "only\n", "u,v\n"}, "NULL|NULL|s,NULL|NULL|u,NULL|NULL|one\ntwo", "2 3"},
		{"a,b", "format as json 'auto ignorecase' statupdate on", []string{`{"A":"q","B":"7"}`, `{"b":"seven"}`, `{"b":`, `[]`, `{"a":{"k": 1}}{"a":5.50}`}, `5.50|NULL|NULL,q|7|NULL,{"k":1}|NULL|NULL`, "1 2 3"},
	} {
		s.In("TRUNCATE formats")
		d := s.open(t, "formats", c.columns, c.options)
		res, err := d.Deliver(t.Context(), planned(fmt.Sprint("format ", i), c.data...))
		if err != nil {
			t.Errorf("%s: %v", c.options, err)
			continue
		}
		var rejected []string
		for _, r := range res.Rejected {
			rejected = append(rejected, fmt.Sprint(r.Index))
		}
		column := "coalesce(a,'NULL')"
		if strings.HasPrefix(c.columns, "c") {
			column = "'NULL'"
		}
		got := s.In("SELECT string_agg(" + column + "||'|'||coalesce(b::text,'NULL')||'|'||coalesce(c,'NULL'), ',' ORDER BY b, a, c COLLATE \"C\" DESC) FROM formats")
		if sorted(got) != sorted(c.want) || strings.Join(rejected, " ") != c.rejected {
			t.Errorf("%q:\n%q, want\n%q; rejected %v, want %s", c.options, got, c.want, rejected, c.rejected)
		}
	}
}

// poison loads what can be loaded.
func (s *Server) poison(t *testing.T) {
	s.In("CREATE TABLE poison (id int PRIMARY KEY, pad text)")
	var data []string
	bad := map[int]bool{}
	for i := range 3000 {
		id := fmt.Sprint(i)
		if i%500 == 77 {
			id, bad[i] = `"no number"`, true
		}
		if i == 2999 {
			id, bad[i] = "5", true // a key that is there
		}
		data = append(data, fmt.Sprintf(`{"id":%s,"pad":%q}`, id, strings.Repeat("x", 1500)))
	}
	d := s.open(t, "poison", "", "json 'auto'")
	for range 2 {
		res, err := d.Deliver(t.Context(), planned("poison", data...))
		if err != nil || len(res.Rejected) != len(bad) {
			t.Fatalf("%d rejected, %v", len(res.Rejected), err)
		}
		for _, r := range res.Rejected {
			if !bad[r.Index] || r.Message == "" {
				t.Errorf("%+v", r)
			}
		}
	}
	if got := s.In("SELECT count(*) FROM poison"); got != fmt.Sprint(3000-len(bad)) {
		t.Error(got)
	}
}

// errors have the service's codes, and no secret.
func (s *Server) errors(t *testing.T) {
	s.Query("\\c game\nCREATE TABLE theirs (id int)")
	for code, c := range map[string][2]string{
		"Redshift.TableNotFound": {"nowhere", ""}, "Redshift.ColumnNotFound": {"once", "nothing"}, "Redshift.InsufficientPrivilege": {"theirs", ""},
	} {
		_, err := s.open(t, c[0], c[1], "json 'auto'").Deliver(t.Context(), planned(code, `{"id":1}`))
		var e *dest.Error
		if !errors.As(err, &e) || e.Code != code || e.Class != dest.Retryable {
			t.Errorf("%s: %v", code, err)
		}
	}
	p, _ := egress.New(true, nil)
	c := dest.Config(fmt.Sprintf(`{"ClusterJDBCURL":"jdbc:postgresql://127.0.0.1:%d/game","Username":"thalweg","Password":"sealed wrong",`+
		`"CopyCommand":{"DataTableName":"once"}}`, s.Port))
	d, err := redshift.Spec(p).Open(c, (&desttest.Files{}).Env())
	if err != nil {
		t.Fatal(err)
	}
	var e *dest.Error
	if _, err = d.Deliver(t.Context(), planned("x", "1")); !errors.As(err, &e) || e.Code != "Redshift.AuthenticationFailed" || strings.Contains(err.Error(), "wrong") {
		t.Error(err)
	}
	d, _ = redshift.Spec(&egress.Policy{}).Open(c, (&desttest.Files{}).Env())
	if _, err = d.Deliver(t.Context(), planned("x", "1")); err == nil || !strings.Contains(err.Error(), "not a public address") {
		t.Error(err)
	}
}

// kills repeats a batch until it succeeds, while the database dies or the connection, at
// any moment: it is there once.
func (s *Server) kills(t *testing.T) {
	s.In("CREATE TABLE kills (plan text, n int)")
	d := s.open(t, "kills", "", "")
	for round := range 6 {
		plan := fmt.Sprint("kill ", round)
		var data []string
		for i := range 200_000 {
			data = append(data, fmt.Sprintf("%s|%d\n", plan, i))
		}
		b := planned(plan, data...)
		if round%2 == 0 {
			records := b.Records
			first := true
			b.Records = func(ctx context.Context, yield func(*dest.Record) error) error {
				n := 0
				return records(ctx, func(r *dest.Record) error {
					if n++; first && n == 30_000*(round+1) {
						first = false
						s.Kill()
						s.Up()
					}
					return yield(r)
				})
			}
		}
		if round%2 == 1 { // cut when the answer to COMMIT is on its way, or a moment before
			ctx, cancel := context.WithCancel(t.Context())
			records := b.Records
			b.Records = func(ctx context.Context, yield func(*dest.Record) error) error {
				err := records(ctx, yield)
				go cancel()
				return err
			}
			d.Deliver(ctx, b)
			b.Records = records
		}
		failed := 0
		for {
			_, err := d.Deliver(t.Context(), b)
			if err == nil {
				break
			}
			var e *dest.Error
			if failed++; !errors.As(err, &e) || e.Class == dest.Permanent || failed > 50 {
				t.Fatal(err)
			}
		}
		if got := s.In("SELECT count(*), count(DISTINCT n) FROM kills WHERE plan = '" + plan + "'"); got != "200000|200000" {
			t.Fatalf("%s: %s", plan, got)
		}
	}
}

func sorted(s string) string {
	parts := strings.Split(s, ",")
	for i := range parts {
		for j := range i {
			if parts[i] < parts[j] {
				parts[i], parts[j] = parts[j], parts[i]
			}
		}
	}
	return strings.Join(parts, ",")
}

// spans delivers rows that lie across records. One that the database refuses takes all
// records with it that it has parts in, and the rows that these began: whatever is not in
// the table is in the records that were rejected. A row that began before them is loaded.
func (s *Server) spans(t *testing.T) {
	s.In("CREATE TABLE spans (a int, b text)")
	d := s.open(t, "spans", "a,b", "delimiter '|'")
	res, err := d.Deliver(t.Context(), planned("spans", "1|one\n2", "|two\nbad", "|three\n4|", "four\n5|five\n", "6|six\n"))
	if err != nil {
		t.Fatal(err)
	}
	var rejected []int
	for _, r := range res.Rejected {
		rejected = append(rejected, r.Index)
	}
	if want := []int{1, 2, 3}; !slices.Equal(rejected, want) {
		t.Errorf("rejected %v, want %v", rejected, want)
	}
	if got := s.In("SELECT string_agg(a::text, ',' ORDER BY a) FROM spans"); got != "1,2,6" {
		t.Errorf("loaded %s", got)
	}
}
