package glue

import (
	"context"

	model "thalweg/internal/awsapi/model/glue"
	"thalweg/internal/schemas"
)

// GetTable
//
// Returns a table's last version.
//
// Errors: EntityNotFound; InvalidInput for QueryAsOfTime, TransactionId and AttributesToGet.
// https://docs.aws.amazon.com/glue/latest/webapi/API_GetTable.html
//
// Status: done
func (d *Door) GetTable(ctx context.Context, in *model.GetTableInput) (*model.GetTableOutput, error) {
	err := unsupported(map[string]bool{"QueryAsOfTime": !in.QueryAsOfTime.V.IsZero(), "TransactionId": in.TransactionId.V != "",
		"AttributesToGet": len(in.AttributesToGet) > 0})
	if err != nil {
		return nil, err
	}
	t, err := d.table(ctx, in.CatalogId.V, in.DatabaseName.V, in.Name.V, schemas.Latest)
	return &model.GetTableOutput{Table: t}, err
}

// table returns a version of a table.
func (d *Door) table(ctx context.Context, catalog, database, name string, version int64) (*model.Table, error) {
	scope, err := allow(ctx, catalog, database, name)
	if err != nil {
		return nil, err
	}
	t, err := d.schemas.Table(scope, database, name, version)
	if err != nil {
		return nil, wireError(err)
	}
	if err := hold(ctx, len(t.Document)); err != nil {
		return nil, err
	}
	return shownTable(t), nil
}
