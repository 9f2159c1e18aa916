package tables

import (
	"encoding/hex"
	"testing"

	"thalweg/internal/tables/value"
)

// TestPlacesAreFixed pins places, which are on disk: docs/formats/metadata.md.
func TestPlacesAreFixed(t *testing.T) {
	s := Schema{Partition: "p", Sort: "s"}
	for want, key := range map[string]value.Item{
		"8f8aaf865ba0f7a2736861726449642d303030303030303030303030000100bffececdcaff": {"p": str("shardId-000000000000"), "s": num(t, "-12.5")},
		"a080504a351997086100ff62000101":                                             {"p": str("a\x00b"), "s": num(t, "0")},
		"560489fd8e49371200ff01000102400a3100":                                       {"p": {Kind: value.Binary, Text: "\x00\x01"}, "s": num(t, "1e10")},
	} {
		place, ok := s.place(key)
		if got := hex.EncodeToString([]byte(place)); !ok || got != want {
			t.Errorf("%v stands at %s, want %s", key, got, want)
		}
	}
	it := value.Item{"n": num(t, "-1.50"), "l": {Kind: value.List, Items: []value.Value{{Kind: value.Bool, Bool: true}, {Kind: value.Null}}}}
	if got := hex.EncodeToString(value.AppendItem(nil, it)); got != "02016c080209010a016e02042d312e35" {
		t.Errorf("the item is %s", got)
	}
}
