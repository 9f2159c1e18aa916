package firehose

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"

	"thalweg/tests/events"
	"thalweg/tests/postgres"
)

// tableSink is a table of PostgreSQL for each delivery stream, whose rows are numbered as
// they come, and which refuses one of a thousand.
func (s *suite) tableSink() (*postgres.Server, *sink) {
	database := postgres.Start(s.t)
	return database, &sink{
		name: "table",
		configure: func(in *firehose.CreateDeliveryStreamInput, stream string) {
			table := strings.ReplaceAll(stream, "-", "_")
			database.In("CREATE TABLE " + table + " (n bigserial, game_id text, player_id text, seq bigint CHECK (seq % 1000 <> 17))")
			in.ExtendedS3DestinationConfiguration = nil
			in.RedshiftDestinationConfiguration = &types.RedshiftDestinationConfiguration{
				ClusterJDBCURL: aws.String(fmt.Sprintf("jdbc:postgresql://127.0.0.1:%d/game", database.Port)), RoleARN: role,
				Username: aws.String("thalweg"), Password: aws.String("secret"), RetryOptions: &types.RedshiftRetryOptions{DurationInSeconds: aws.Int32(patience)},
				CopyCommand:     &types.CopyCommand{DataTableName: &table, DataTableColumns: aws.String("game_id,player_id,seq"), CopyOptions: aws.String("json 'auto'")},
				S3Configuration: intoErrors(stream),
			}
		},
		check: func(t *testing.T, stream string, set events.Set, doubtful map[events.ID]bool) {
			got := newTally()
			for line := range strings.Lines(database.In("SELECT game_id, player_id, seq FROM " + strings.ReplaceAll(stream, "-", "_") + " ORDER BY n")) {
				f := strings.Split(strings.TrimSpace(line), "|")
				seq, err := strconv.ParseInt(f[2], 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				got.add(events.ID{Game: f[0], Player: f[1], Seq: seq})
			}
			failed := s.failures(t, stream, "redshift-failed")
			for _, f := range failed {
				id, err := events.Identify(f.RawData)
				if err != nil || id.Seq%1000 != 17 || f.ErrorCode != "Redshift.DataLoadFailed" || !strings.Contains(f.ErrorMessage, "check constraint") {
					t.Fatalf("%s: failed with %s, %s: %q, %v", stream, f.ErrorCode, f.ErrorMessage, f.RawData, err)
				}
				got.seen[id]++
			}
			got.check(t, stream, set, doubtful)
			t.Logf("%s: %d of them refused by the table", stream, len(failed))
		},
	}
}
