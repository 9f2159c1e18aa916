package glue

import (
	"context"

	model "thalweg/internal/awsapi/model/glue"
	"thalweg/internal/opt"
)

// GetDatabases
//
// Returns the account's databases by name, at most 100 an answer (MaxResults).
// NextToken is where the next one begins.
//
// Errors: InvalidInput for ResourceShareType and AttributesToGet.
// https://docs.aws.amazon.com/glue/latest/webapi/API_GetDatabases.html
//
// Status: done
func (d *Door) GetDatabases(ctx context.Context, in *model.GetDatabasesInput) (*model.GetDatabasesOutput, error) {
	scope, err := allow(ctx, in.CatalogId.V)
	if err != nil {
		return nil, err
	}
	if err := unsupported(map[string]bool{"ResourceShareType": in.ResourceShareType.V != "", "AttributesToGet": len(in.AttributesToGet) > 0}); err != nil {
		return nil, err
	}
	list, more := d.schemas.Databases(scope, in.NextToken.V, int(in.MaxResults.Or(100)))
	size := 0
	for _, found := range list {
		size += len(found.Document)
	}
	if err := hold(ctx, size); err != nil {
		return nil, err
	}
	out := &model.GetDatabasesOutput{DatabaseList: []model.Database{}}
	for _, found := range list {
		out.DatabaseList = append(out.DatabaseList, shownDatabase(found))
	}
	if more {
		out.NextToken = opt.Of(list[len(list)-1].Name)
	}
	return out, nil
}
