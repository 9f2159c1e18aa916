// Package iceberg delivers batches into tables of Apache Iceberg, by the Iceberg kind of
// destination: records are inserted, as Parquet, into tables of the server's own catalog
// (package lake) in the delivery stream's account.
//
// A record goes to the one table of the configuration, or to the table that a query
// (MetadataExtraction) or a function (otfMetadata) says, by destinationDatabaseName,
// destinationTableName and operation. What cannot be inserted is rejected, with the code
// by which Firehose tells it: Iceberg.NoSuchTable, Iceberg.InvalidTableName,
// S3.AccessDenied, and those of package convert. A batch has records of
// [maxPartitions] partitions of tables at most.
//
// Exactly once: the commit that adds a batch's files to a table also sets a property of
// the table, which says which plan of the delivery stream was the last one there
// (commit.go). A plan that stands there is not committed again, whatever has become of
// the snapshot since. Files and snapshot are named by the plan, so that an attempt that
// was cut off leaves nothing that the next one does not put in its place.
//
// A batch for several tables is a commit for each. When time runs out with some of them
// made, the records of these are not among the failed ones (dest.Error.Arrived).
//
// Sources: the developer guide on Iceberg tables; iceberg.apache.org/spec for what is
// written.
package iceberg

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"

	"thalweg/internal/delivery/dest"
	"thalweg/internal/errs"
	"thalweg/internal/lake"
	"thalweg/internal/limits"
)

// Kind is this kind's name.
const Kind = "Iceberg"

const defaults = `{
	"AppendOnly": false,
	"BufferingHints": {"IntervalInSeconds": 300, "SizeInMBs": 5},
	"CloudWatchLoggingOptions": {"Enabled": false},
	"ProcessingConfiguration": {"Enabled": false, "Processors": []},
	"RetryOptions": {"DurationInSeconds": 300},
	"S3BackupMode": "FailedDataOnly"
}`

// Catalog is where tables and their files are: what is needed of a [lake.Catalog]. Whatever
// it is asked for is of the scope's account, or it is refused.
type Catalog interface {
	Load(ctx context.Context, s lake.Scope, id lake.Ident, hold lake.Hold) (place string, raw []byte, err error)
	Commit(ctx context.Context, s lake.Scope, id lake.Ident, requirements []lake.Requirement, updates []lake.Update, hold lake.Hold) (place string, raw []byte, err error)
	Read(ctx context.Context, s lake.Scope, place string, hold lake.Hold) ([]byte, error)
	Put(ctx context.Context, s lake.Scope, place string, body io.Reader) error
}

var _ Catalog = (*lake.Catalog)(nil)

// Spec is the kind of destination that inserts into tables of a catalog. What it takes is
// drawn on memory, which may be nil.
func Spec(catalog Catalog, memory *limits.Budget) dest.Spec {
	return dest.Spec{
		Kind: Kind, ErrorType: "iceberg-failed", Defaults: defaults,
		Host: func(c dest.Config) string {
			if t, err := parse(c); err == nil {
				return "iceberg:" + t.catalog + " " + t.table.text()
			}
			return ""
		},
		Check: func(c dest.Config) error {
			_, err := parse(c)
			return err
		},
		Open: func(c dest.Config, e dest.Env) (dest.Destination, error) {
			t, err := parse(c)
			if err != nil {
				return nil, err
			}
			if e.Stream.Account != "" && t.account != e.Stream.Account {
				return nil, invalid("The catalog %s is another account's. This server delivers to the catalog of the delivery stream's own account.", t.catalog)
			}
			return &lakeDest{target: t, catalog: catalog, memory: memory, env: e}, nil
		},
	}
}

// target is a configuration as it is used.
type target struct {
	catalog         string // its ARN
	region, account string
	table           name // that records go to which say nothing; empty is none
}

// name is that of a table, as records and configurations have it.
type name struct{ database, table string }

func (n name) text() string { return n.database + "." + n.table }

func (n name) ident() lake.Ident {
	return lake.Ident{Namespace: strings.Split(n.database, "."), Name: n.table}
}

func invalid(format string, args ...any) error {
	return errs.New(errs.Invalid, fmt.Sprintf(format, args...))
}

var catalogARN = regexp.MustCompile(`^arn:[^:]+:glue:([^:]+):(\d{12}):catalog$`)

func parse(c dest.Config) (t target, err error) {
	var cfg struct {
		CatalogConfiguration struct {
			CatalogARN, WarehouseLocation string
		}
		BufferingHints struct {
			SizeInMBs, IntervalInSeconds *int
		}
		DestinationTableConfigurationList []struct {
			DestinationDatabaseName, DestinationTableName string
			UniqueKeys                                    []string
			PartitionSpec                                 *json.RawMessage
			S3ErrorOutputPrefix                           string
		}
		SchemaEvolutionConfiguration, TableCreationConfiguration struct{ Enabled bool }
	}
	if err = json.Unmarshal(c, &cfg); err != nil {
		return t, err
	}
	at := cfg.CatalogConfiguration
	m := catalogARN.FindStringSubmatch(at.CatalogARN)
	switch {
	case at.WarehouseLocation != "":
		return t, invalid("WarehouseLocation is not supported by this server: a table is where its catalog says.")
	case at.CatalogARN == "":
		return t, invalid("CatalogARN must be specified in CatalogConfiguration.")
	case m == nil:
		return t, invalid("The catalog %s is not supported by this server: only an account's own, arn:aws:glue:REGION:ACCOUNT:catalog, is.", at.CatalogARN)
	case cfg.SchemaEvolutionConfiguration.Enabled:
		return t, invalid("SchemaEvolutionConfiguration is not supported by this server.")
	case cfg.TableCreationConfiguration.Enabled:
		return t, invalid("TableCreationConfiguration is not supported by this server.")
	case (cfg.BufferingHints.SizeInMBs == nil) != (cfg.BufferingHints.IntervalInSeconds == nil):
		return t, invalid("BufferingHints.SizeInMBs and BufferingHints.IntervalInSeconds must both be specified")
	}
	t = target{catalog: at.CatalogARN, region: m[1], account: m[2]}
	seen := map[name]bool{}
	for _, table := range cfg.DestinationTableConfigurationList {
		n := name{table.DestinationDatabaseName, table.DestinationTableName}
		switch {
		case seen[n]:
			return t, invalid("The table %s is configured twice.", n.text())
		case len(table.UniqueKeys) > 0:
			return t, invalid("UniqueKeys are not supported by this server: records are inserted, not updated or deleted.")
		case table.PartitionSpec != nil:
			return t, invalid("PartitionSpec is not supported by this server: a table is partitioned as its metadata says.")
		case table.S3ErrorOutputPrefix != "":
			return t, invalid("S3ErrorOutputPrefix of a table is not supported by this server.")
		}
		seen[n] = true
		t.table = n
	}
	if len(seen) > 1 {
		t.table = name{}
	}
	return t, nil
}
