package firehose

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"thalweg/tests/events"
	"thalweg/tests/harness"
)

// icebergSink is an Iceberg table for each delivery stream, which Python reads.
func (s *suite) icebergSink() *sink {
	if _, err := s.s3.CreateBucket(s.t.Context(), &s3.CreateBucketInput{Bucket: aws.String("lake")}); err != nil {
		s.t.Fatal(err)
	}
	s.catalog("namespaces", `{"namespace":["lake"]}`)
	return &sink{
		name: "iceberg",
		configure: func(in *firehose.CreateDeliveryStreamInput, stream string) {
			table := strings.ReplaceAll(stream, "-", "_")
			var fields []string
			for i, f := range []string{"map string", "kind string", "game_id string", "player_id string", "seq long"} {
				name, of, _ := strings.Cut(f, " ")
				fields = append(fields, fmt.Sprintf(`{"id":%d,"name":%q,"type":%q,"required":false}`, i+1, name, of))
			}
			s.catalog("namespaces/lake/tables", fmt.Sprintf(`{"name":%q,"location":"s3://lake/%s","schema":{"type":"struct","schema-id":0,"fields":[%s]}}`,
				table, table, strings.Join(fields, ",")))
			in.ExtendedS3DestinationConfiguration = nil
			in.IcebergDestinationConfiguration = &types.IcebergDestinationConfiguration{
				RoleARN: role, CatalogConfiguration: &types.CatalogConfiguration{CatalogARN: aws.String("arn:aws:glue:us-east-1:000000000000:catalog")},
				BufferingHints:                    &types.BufferingHints{SizeInMBs: aws.Int32(1), IntervalInSeconds: aws.Int32(0)},
				DestinationTableConfigurationList: []types.DestinationTableConfiguration{{DestinationDatabaseName: aws.String("lake"), DestinationTableName: &table}},
				S3Configuration:                   intoErrors(stream),
			}
		},
		check: func(t *testing.T, stream string, set events.Set, doubtful map[events.ID]bool) {
			readRows(t, "iceberg", s.server.URL()+"/lake/"+strings.ReplaceAll(stream, "-", "_")).check(t, stream, set, doubtful)
			s.each("failed/"+stream+"/", func(string, []byte) error { return errors.New("there were none to fail") })
		},
	}
}

// catalog makes something by Iceberg's REST catalog, of no warehouse.
func (s *suite) catalog(path, body string) {
	s.t.Helper()
	resp, err := http.Post(s.server.URL()+"/iceberg/v1/w-/"+path, "application/json", strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %s", path, resp.Status)
	}
}

// keep writes a file for others to read, if there are any.
func keep(path string, body []byte) error {
	if *python == "" {
		return nil
	}
	return errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, body, 0o644))
}

// readRows has Apache Arrow or DuckDB read all files of a directory, or PyIceberg a table.
func readRows(t *testing.T, reader, place string) *tally {
	t.Helper()
	var failed strings.Builder
	c := exec.CommandContext(t.Context(), *python, filepath.Join(harness.Root(), "tests", "py", "rows.py"), reader, place)
	c.Stderr = &failed
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", reader, err, &failed)
	}
	got := newTally()
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		seq, err := strconv.ParseInt(f[len(f)-1], 10, 64)
		if err != nil || len(f) != 5 {
			t.Fatalf("%s: %q", reader, line)
		}
		got.begin() // the order was looked at
		got.add(events.ID{Game: f[2], Player: f[3], Seq: seq})
	}
	return got
}
