// Package kafka holds Thalweg against Apache Kafka: scripts of requests, sent to
// a broker in every version that it serves, and what Apache Kafka answered.
//
// A script (scripts/*.yaml) is run once for each version of its key. Names begin
// with $T, a prefix of the run's own; values of earlier answers are kept by name
// and used as $NAME. An answer is rendered as lines of path and value, without
// what is zero; times, addresses and ids are masked. testdata/NAME.golden has
// Apache Kafka's answers, equal ones of neighbouring versions once.
//
// differences.yaml lists each difference from them that is meant, and why;
// docs/kafka-compatibility.md is generated from it.
package kafka

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
	"gopkg.in/yaml.v3"
)

// script is one file of scripts.
type script struct {
	name  string
	About string
	// Key is whose versions the script is run in.
	Key   string
	Steps []step
}

// step is one request, or the wait for the answer to one.
type step struct {
	Name string
	// Send is the key's name; Raw is a key that has no message, sent without a body.
	Send string
	Raw  *int16
	// Version is what to send in; without it the script's own for its key, and the
	// newest that is served for others.
	Version *int16
	// From and To bound the versions of the script in which the step is taken.
	From, To *int16
	// On names the connection.
	On   string
	Body map[string]any
	// Later leaves the answer to a step with the same connection and Answer.
	Later, Answer bool
	// Silent requests have no answer; the next one on the connection shows it.
	Silent bool
	// Quiet steps only prepare: their answers are not kept.
	Quiet bool
	// Retry are codes that mean that the broker is not there yet.
	Retry []string
	// Until is a pattern of a path that the answer has once the broker is there.
	Until string
	// Keep names values of the answer by their path.
	Keep map[string]string
	// Mask are patterns of paths that are left out.
	Mask []string
}

func (s *step) taken(version int16) bool {
	return (s.From == nil || version >= *s.From) && (s.To == nil || version <= *s.To)
}

// load reads every script, by name.
func load() ([]*script, error) {
	paths, err := filepath.Glob("scripts/*.yaml")
	if err != nil {
		return nil, err
	}
	var out []*script
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		s := &script{name: strings.TrimSuffix(filepath.Base(path), ".yaml")}
		dec := yaml.NewDecoder(f)
		dec.KnownFields(true)
		err = dec.Decode(s)
		_ = f.Close() // only read
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		var names []string
		for i, st := range s.Steps {
			if st.Name == "" || slices.Contains(names, st.Name) {
				return nil, fmt.Errorf("%s: step %d needs a name of its own", path, i+1)
			}
			names = append(names, st.Name)
		}
		out = append(out, s)
	}
	return out, nil
}

// keyOf returns the number of the key that kmsg calls name.
func keyOf(name string) (int16, error) {
	for key := range int16(kmsg.MaxKey + 1) {
		if kmsg.NameForKey(key) == name {
			return key, nil
		}
	}
	return 0, fmt.Errorf("no key is named %q", name)
}
