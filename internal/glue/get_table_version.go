package glue

import (
	"context"

	model "thalweg/internal/awsapi/model/glue"
)

// GetTableVersion
//
// Returns one version of a table, the last without a VersionId.
//
// Errors: EntityNotFound; InvalidInput for a VersionId that is no number.
// https://docs.aws.amazon.com/glue/latest/webapi/API_GetTableVersion.html
//
// Status: done
func (d *Door) GetTableVersion(ctx context.Context, in *model.GetTableVersionInput) (*model.GetTableVersionOutput, error) {
	version, err := versionOf(in.VersionId)
	if err != nil {
		return nil, err
	}
	t, err := d.table(ctx, in.CatalogId.V, in.DatabaseName.V, in.TableName.V, version)
	if err != nil {
		return nil, err
	}
	return &model.GetTableVersionOutput{TableVersion: &model.TableVersion{Table: t, VersionId: t.VersionId}}, nil
}
