package glue

import (
	"context"

	model "thalweg/internal/awsapi/model/glue"
)

// DeleteDatabase
//
// Removes a database with its tables and their versions, durably, at once.
//
// Errors: EntityNotFound.
// https://docs.aws.amazon.com/glue/latest/webapi/API_DeleteDatabase.html
//
// Status: done
// Deviation: the tables are gone when the call returns, not some time after
func (d *Door) DeleteDatabase(ctx context.Context, in *model.DeleteDatabaseInput) (*model.DeleteDatabaseOutput, error) {
	scope, err := allow(ctx, in.CatalogId.V, in.Name.V)
	if err != nil {
		return nil, err
	}
	return &model.DeleteDatabaseOutput{}, wireError(d.schemas.DeleteDatabase(ctx, scope, in.Name.V))
}
