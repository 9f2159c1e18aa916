package kafka

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"thalweg/tests/harness"
)

var (
	record  = flag.String("record", "", "the address of a broker of Apache Kafka whose answers are to be kept; nothing is tested then")
	version = flag.String("version", "", "what that broker is, as Apache Kafka 4.4.0")
	only    = flag.String("script", "*", "a pattern of the scripts to run")
	update  = flag.Bool("update", false, "write the document of differences")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if *record != "" {
		if err := keep(context.Background(), *record); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(harness.Main(m))
}

// scripts are those that the flag chooses.
func scripts() ([]*script, error) {
	all, err := load()
	return slices.DeleteFunc(all, func(s *script) bool { return !matches(*only, s.name) }), err
}

// keep writes down what the broker at addr answers to every script.
func keep(ctx context.Context, addr string) error {
	b, err := dialBroker(ctx, addr)
	for deadline := time.Now().Add(time.Minute); err != nil && time.Now().Before(deadline); {
		pause(ctx, 100*time.Millisecond) // it is starting
		b, err = dialBroker(ctx, addr)
	}
	if err != nil {
		return err
	}
	list, err := scripts()
	if err != nil {
		return err
	}
	for _, s := range list {
		g := &golden{broker: *version, key: s.Key, answers: map[int16]map[string][]line{}}
		key, err := keyOf(s.Key)
		if err != nil {
			return err
		}
		for v := b.served[key].min; v <= b.served[key].max; v++ {
			answers, err := b.run(ctx, s, v)
			if err != nil {
				return err
			}
			g.answers[v] = map[string][]line{}
			for _, a := range answers {
				g.answers[v][a.step] = a.lines
			}
		}
		if err := os.WriteFile(goldenPath(s.name), []byte(g.text(s)), 0o644); err != nil {
			return err
		}
		fmt.Printf("%s: %s %d-%d\n", s.name, s.Key, b.served[key].min, b.served[key].max)
	}
	return nil
}

// TestAgainstApacheKafka sends every script to the real binary, in every version
// that it and Apache Kafka serve, and compares the answers with those that Apache
// Kafka gave.
func TestAgainstApacheKafka(t *testing.T) {
	all, err := loadDifferences()
	if err != nil {
		t.Fatal(err)
	}
	list, err := scripts()
	if err != nil {
		t.Fatal(err)
	}
	server := harness.ForTest(t, harness.Options{Ephemeral: true})
	b, err := dialBroker(t.Context(), server.Ready().Kafka)
	if err != nil {
		t.Fatal(err)
	}
	steps := 0
	for _, s := range list {
		t.Run(s.name, func(t *testing.T) { steps += compare(t, b, s, all) })
	}
	t.Logf("%d answers compared", steps)
	if *only != "*" {
		return
	}
	for _, d := range all {
		if !d.used {
			t.Errorf("no answer differs any more as %s, %s, %s says", d.Script, d.Step, d.Path)
		}
	}
}

func compare(t *testing.T, b *broker, s *script, all []*difference) int {
	g, err := readGolden(goldenPath(s.name))
	if err != nil {
		t.Fatal(err)
	}
	key, err := keyOf(s.Key)
	if err != nil {
		t.Fatal(err)
	}
	steps := 0
	for _, v := range g.versions() {
		if v < b.served[key].min || v > b.served[key].max || b.served[key] == (span{}) {
			continue
		}
		answers, err := b.run(t.Context(), s, v)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, a := range answers {
			steps++
			for _, x := range differencesOf(s.name, a.step, v, g.answers[v][a.step], a.lines) {
				i := slices.IndexFunc(all, func(d *difference) bool { return d.covers(x) })
				if i < 0 {
					t.Error(x)
					continue
				}
				all[i].used = true
			}
		}
	}
	return steps
}

// TestDocument keeps docs/kafka-compatibility.md in step with the data.
func TestDocument(t *testing.T) {
	all, err := loadDifferences()
	if err != nil {
		t.Fatal(err)
	}
	list, err := load()
	if err != nil {
		t.Fatal(err)
	}
	g, err := readGolden(goldenPath(list[0].name))
	if err != nil {
		t.Fatal(err)
	}
	want := document(g.broker, list, all)
	path := filepath.Join(harness.Root(), "docs/kafka-compatibility.md")
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the data says: go test ./tests/kafka -run Document -update", path)
	}
}
