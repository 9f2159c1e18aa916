package glue

import (
	"context"

	model "thalweg/internal/awsapi/model/glue"
)

// UpdateTable
//
// Gives a table its next version, durably: all of the TableInput takes the place of what
// was. The version before is kept unless SkipArchive is set; the newest 100 are. With a
// VersionId the table must still be at that one.
//
// Errors: EntityNotFound; ConcurrentModification for another version;
// ResourceNumberLimitExceeded when the catalog takes no more; InvalidInput as for
// CreateTable.
// https://docs.aws.amazon.com/glue/latest/webapi/API_UpdateTable.html
//
// Status: done
// Deviation: the newest 100 versions of a table are kept, not 100,000
func (d *Door) UpdateTable(ctx context.Context, in *model.UpdateTableInput) (*model.UpdateTableOutput, error) {
	if err := checkTable(in.TableInput); err != nil {
		return nil, err
	}
	name := in.TableInput.Name.V
	scope, err := allow(ctx, in.CatalogId.V, in.DatabaseName.V, name)
	if err != nil {
		return nil, err
	}
	err = unsupported(map[string]bool{"UpdateOpenTableFormatInput": in.UpdateOpenTableFormatInput != nil, "ViewUpdateAction": in.ViewUpdateAction.V != "",
		"TransactionId": in.TransactionId.V != "", "Name": in.Name.V != "" && in.Name.V != name})
	if err != nil {
		return nil, err
	}
	expected, err := versionOf(in.VersionId)
	if err != nil {
		return nil, err
	}
	return &model.UpdateTableOutput{}, wireError(d.schemas.UpdateTable(ctx, scope, in.DatabaseName.V, name, document(in.TableInput), !in.SkipArchive.V, expected))
}
