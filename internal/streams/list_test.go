package streams

import (
	"fmt"
	"strings"
	"testing"

	"thalweg/internal/catalog"
)

// A split at 2000 and a merge at 3000; the horizon lies before or between.
func TestFilter(t *testing.T) {
	shards := []catalog.Shard{
		{Number: 0, Created: 1000, Closed: 2000},
		{Number: 1, Created: 2000, Closed: 3000},
		{Number: 2, Created: 2000, Closed: 3000},
		{Number: 3, Created: 3000},
	}
	cases := []struct {
		kind          FilterType
		time, horizon int64
		want          string
	}{
		{"", 0, 1000, "0 1 2 3"},
		{"", 0, 2500, "1 2 3"},
		{"", 0, 9000, "3"},
		{FromTrimHorizon, 0, 1000, "0 1 2 3"},
		{AfterShardID, 0, 1000, "0 1 2 3"},
		{AtTrimHorizon, 0, 1000, "0"},
		{AtTrimHorizon, 0, 2000, "1 2"},
		{AtTrimHorizon, 0, 5000, "3"},
		{AtLatest, 0, 1000, "3"},
		{OpenAtTimestamp, 2500, 1000, "1 2"},
		{OpenAtTimestamp, 1, 1000, "0"},
		{OpenAtTimestamp, 1, 3500, "3"},
		{FromTimestamp, 2500, 1000, "1 2 3"},
		{FromTimestamp, 1, 1000, "0 1 2 3"},
	}
	for _, c := range cases {
		var got []string
		for i := range shards {
			if (Filter{Type: c.kind, Time: c.time}).selects(&shards[i], c.horizon) {
				got = append(got, fmt.Sprint(int(shards[i].Number)))
			}
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s at %d, horizon %d: %s, want %s", c.kind, c.time, c.horizon, s, c.want)
		}
	}
}
