package glue

import (
	"context"

	model "thalweg/internal/awsapi/model/glue"
)

// CreateTable
//
// Makes a table in a database, durably, at version 0. Its columns are not looked at; a
// delivery stream that converts by it does.
//
// Errors: EntityNotFound for the database; AlreadyExists; ResourceNumberLimitExceeded
// when the catalog takes no more; InvalidInput for what is not supported (views, links,
// OpenTableFormatInput, PartitionIndexes, TransactionId).
// https://docs.aws.amazon.com/glue/latest/webapi/API_CreateTable.html
//
// Status: done
func (d *Door) CreateTable(ctx context.Context, in *model.CreateTableInput) (*model.CreateTableOutput, error) {
	if err := checkTable(in.TableInput); err != nil {
		return nil, err
	}
	name := in.TableInput.Name.V
	scope, err := allow(ctx, in.CatalogId.V, in.DatabaseName.V, name)
	if err != nil {
		return nil, err
	}
	err = unsupported(map[string]bool{"OpenTableFormatInput": in.OpenTableFormatInput != nil, "PartitionIndexes": len(in.PartitionIndexes) > 0,
		"TransactionId": in.TransactionId.V != "", "Name": in.Name.V != "" && in.Name.V != name})
	if err != nil {
		return nil, err
	}
	return &model.CreateTableOutput{}, wireError(d.schemas.CreateTable(ctx, scope, in.DatabaseName.V, name, document(in.TableInput)))
}
