package lease

import (
	"context"

	model "thalweg/internal/awsapi/model/dynamodb"
)

// UpdateContinuousBackups
//
// Accepts that point-in-time recovery is to be off, as it is. To have it on is
// refused: a table is backed up with the whole data directory.
//
// Errors: TableNotFound; ContinuousBackupsUnavailable for point-in-time recovery.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateContinuousBackups.html
//
// Status: partial: point-in-time recovery cannot be enabled
func (d *Tables) UpdateContinuousBackups(ctx context.Context, in *model.UpdateContinuousBackupsInput) (*model.UpdateContinuousBackupsOutput, error) {
	b, err := d.backups(ctx, in.TableName.V)
	if err != nil {
		return nil, err
	}
	if in.PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled.V {
		return nil, model.NewContinuousBackupsUnavailableException("Point-in-time recovery is not supported by this server: use thalweg backup.")
	}
	return &model.UpdateContinuousBackupsOutput{ContinuousBackupsDescription: b}, nil
}
