package glue

import (
	"context"

	model "thalweg/internal/awsapi/model/glue"
)

// GetDatabase
//
// Returns what a database says of itself, and when it was made.
//
// Errors: EntityNotFound.
// https://docs.aws.amazon.com/glue/latest/webapi/API_GetDatabase.html
//
// Status: done
func (d *Door) GetDatabase(ctx context.Context, in *model.GetDatabaseInput) (*model.GetDatabaseOutput, error) {
	scope, err := allow(ctx, in.CatalogId.V, in.Name.V)
	if err != nil {
		return nil, err
	}
	found, err := d.schemas.Database(scope, in.Name.V)
	if err != nil {
		return nil, wireError(err)
	}
	if err := hold(ctx, len(found.Document)); err != nil {
		return nil, err
	}
	out := shownDatabase(found)
	return &model.GetDatabaseOutput{Database: &out}, nil
}
