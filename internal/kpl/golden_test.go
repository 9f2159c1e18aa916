package kpl

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestGolden holds Parse against the Kinesis Client Library: aggregates that the
// Kinesis Producer Library wrote, and a thousand damaged ones. tests/java keeps
// the file. Where the library drops some records ("partial") none is dropped here.
func TestGolden(t *testing.T) {
	file, err := os.Open("testdata/kcl.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	seen := map[string]int{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		in, want, _ := strings.Cut(lines.Text(), " ")
		data, err := hex.DecodeString(in)
		if err != nil {
			t.Fatal(err)
		}
		a, ok := Parse(data)
		got := "plain"
		if ok {
			var records []string
			for _, r := range a.Records() {
				records = append(records, fmt.Sprintf("%x:%x:%x", r.PartitionKey, r.ExplicitHashKey, r.Data))
			}
			got = strings.Join(records, " ")
		}
		kind := "records"
		if want == "plain" || want == "partial" {
			kind, want = want, "plain"
		}
		seen[kind]++
		if got != want {
			t.Errorf("%s\ngot  %s\nwant %s", in, got, want)
		}
	}
	if seen["records"] < 100 || seen["plain"] < 100 || seen["partial"] < 10 {
		t.Errorf("the golden file hardly tries: %v", seen)
	}
}
