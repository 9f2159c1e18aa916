package lease

import (
	"context"

	model "thalweg/internal/awsapi/model/dynamodb"
	"thalweg/internal/opt"
)

// DescribeContinuousBackups
//
// Says that a table has no continuous backups and no point-in-time recovery:
// DISABLED.
//
// Errors: TableNotFound.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DescribeContinuousBackups.html
//
// Status: done
func (d *Tables) DescribeContinuousBackups(ctx context.Context, in *model.DescribeContinuousBackupsInput) (*model.DescribeContinuousBackupsOutput, error) {
	b, err := d.backups(ctx, in.TableName.V)
	return &model.DescribeContinuousBackupsOutput{ContinuousBackupsDescription: b}, err
}

func (d *Tables) backups(ctx context.Context, name string) (*model.ContinuousBackupsDescription, error) {
	scope, table, err := resolve(ctx, name)
	if err != nil {
		return nil, err
	}
	if _, err := d.tables.Describe(scope, table); err != nil {
		return nil, model.NewTableNotFoundException("Table not found: " + table)
	}
	return &model.ContinuousBackupsDescription{
		ContinuousBackupsStatus: opt.Of(model.ContinuousBackupsStatusDisabled),
		PointInTimeRecoveryDescription: &model.PointInTimeRecoveryDescription{
			PointInTimeRecoveryStatus: opt.Of(model.PointInTimeRecoveryStatusDisabled)},
	}, nil
}
