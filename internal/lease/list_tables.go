package lease

import (
	"context"

	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/dynamodb"
	"thalweg/internal/opt"
)

// ListTables
//
// Lists the names of the tables of the caller's account and region, in order, at
// most 100 an answer (Limit). LastEvaluatedTableName is where the next one begins.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ListTables.html
//
// Status: done
func (d *Tables) ListTables(ctx context.Context, in *model.ListTablesInput) (*model.ListTablesOutput, error) {
	names, more := d.tables.List(scopeOf(awsapi.CallerFrom(ctx)), in.ExclusiveStartTableName.V, int(in.Limit.Or(100)))
	out := &model.ListTablesOutput{TableNames: append([]string{}, names...)}
	if more {
		out.LastEvaluatedTableName = opt.Of(names[len(names)-1])
	}
	return out, nil
}
