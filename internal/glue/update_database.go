package glue

import (
	"context"

	model "thalweg/internal/awsapi/model/glue"
	"thalweg/internal/schemas"
)

// UpdateDatabase
//
// Replaces all that a database says of itself, durably; its tables stay.
//
// Errors: EntityNotFound; InvalidInput when the DatabaseInput has another name.
// https://docs.aws.amazon.com/glue/latest/webapi/API_UpdateDatabase.html
//
// Status: done
func (d *Door) UpdateDatabase(ctx context.Context, in *model.UpdateDatabaseInput) (*model.UpdateDatabaseOutput, error) {
	scope, err := allow(ctx, in.CatalogId.V, in.Name.V)
	if err != nil {
		return nil, err
	}
	if err := checkDatabase(in.DatabaseInput); err != nil {
		return nil, err
	}
	if schemas.Name(in.DatabaseInput.Name.V) != schemas.Name(in.Name.V) {
		return nil, model.NewInvalidInputException("A database cannot be renamed.")
	}
	return &model.UpdateDatabaseOutput{}, wireError(d.schemas.UpdateDatabase(ctx, scope, in.Name.V, document(in.DatabaseInput)))
}
