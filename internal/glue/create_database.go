package glue

import (
	"context"

	model "thalweg/internal/awsapi/model/glue"
)

// CreateDatabase
//
// Makes a database in the account's catalog, durably.
//
// Errors: AlreadyExists; ResourceNumberLimitExceeded when the catalog takes no more;
// InvalidInput for links to other databases and tags.
// https://docs.aws.amazon.com/glue/latest/webapi/API_CreateDatabase.html
//
// Status: done
func (d *Door) CreateDatabase(ctx context.Context, in *model.CreateDatabaseInput) (*model.CreateDatabaseOutput, error) {
	scope, err := allow(ctx, in.CatalogId.V, in.DatabaseInput.Name.V)
	if err != nil {
		return nil, err
	}
	if err := unsupported(map[string]bool{"Tags": len(in.Tags) > 0}); err != nil {
		return nil, err
	}
	if err := checkDatabase(in.DatabaseInput); err != nil {
		return nil, err
	}
	return &model.CreateDatabaseOutput{}, wireError(d.schemas.CreateDatabase(ctx, scope, in.DatabaseInput.Name.V, document(in.DatabaseInput)))
}
