package lease

import (
	"context"
	"time"

	"thalweg/internal/arn"
	"thalweg/internal/awsapi/codec"
	model "thalweg/internal/awsapi/model/dynamodb"
	"thalweg/internal/opt"
	"thalweg/internal/tables"
)

// DescribeTable
//
// Returns a table: keys, indexes, what was asked of it when it was made, and how
// many items it has now.
//
// Errors: ResourceNotFound.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DescribeTable.html
//
// Status: done
// Deviation: ItemCount and TableSizeBytes are those of now, not of some hours ago
func (d *Tables) DescribeTable(ctx context.Context, in *model.DescribeTableInput) (*model.DescribeTableOutput, error) {
	scope, table, err := resolve(ctx, in.TableName.V)
	if err != nil {
		return nil, err
	}
	t, err := d.tables.Describe(scope, table)
	if err != nil {
		return nil, wireError(err)
	}
	return &model.DescribeTableOutput{Table: description(t, model.TableStatusActive)}, nil
}

// tableARN names a table.
func tableARN(d *tables.Definition) string {
	return arn.New("dynamodb", d.Region, d.Account, "table/"+d.Name).String()
}

// description is a table as answers show it.
func description(t tables.Description, status model.TableStatus) *model.TableDescription {
	out := &model.TableDescription{
		TableName: opt.Of(t.Name), TableArn: opt.Of(tableARN(t.Definition)), TableId: opt.Of(t.ID), TableStatus: opt.Of(status),
		CreationDateTime: opt.Of(time.UnixMilli(t.Created).UTC()), ItemCount: opt.Of(t.Items), TableSizeBytes: opt.Of(t.Bytes),
		KeySchema: keySchema(t.Key), ProvisionedThroughput: provisioned(t.Throughput), DeletionProtectionEnabled: opt.Of(t.Protected),
	}
	for _, name := range codec.SortedKeys(t.Types) {
		out.AttributeDefinitions = append(out.AttributeDefinitions, model.AttributeDefinition{
			AttributeName: opt.Of(name), AttributeType: opt.Of(model.ScalarAttributeType(t.Types[name].String()))})
	}
	if t.OnDemand {
		out.BillingModeSummary = &model.BillingModeSummary{BillingMode: opt.Of(model.BillingModePayPerRequest),
			LastUpdateToPayPerRequestDateTime: out.CreationDateTime}
	}
	if t.Infrequent {
		out.TableClassSummary = &model.TableClassSummary{TableClass: opt.Of(model.TableClassStandardInfrequentAccess)}
	}
	for _, x := range t.Indexes {
		shown := &model.Projection{ProjectionType: opt.Of(model.ProjectionType(x.Projection)), NonKeyAttributes: x.Included}
		indexARN := opt.Of(out.TableArn.V + "/index/" + x.Name)
		if x.Local {
			out.LocalSecondaryIndexes = append(out.LocalSecondaryIndexes, model.LocalSecondaryIndexDescription{
				IndexName: opt.Of(x.Name), IndexArn: indexARN, KeySchema: keySchema(x.Key), Projection: shown,
				ItemCount: opt.Of(t.IndexItems[x.Name])})
			continue
		}
		out.GlobalSecondaryIndexes = append(out.GlobalSecondaryIndexes, model.GlobalSecondaryIndexDescription{
			IndexName: opt.Of(x.Name), IndexArn: indexARN, KeySchema: keySchema(x.Key), Projection: shown,
			IndexStatus: opt.Of(model.IndexStatusActive), ItemCount: opt.Of(t.IndexItems[x.Name]),
			ProvisionedThroughput: provisioned(x.Throughput)})
	}
	return out
}

func keySchema(s tables.Schema) []model.KeySchemaElement {
	list := []model.KeySchemaElement{{AttributeName: opt.Of(s.Partition), KeyType: opt.Of(model.KeyTypeHash)}}
	if s.Sort != "" {
		list = append(list, model.KeySchemaElement{AttributeName: opt.Of(s.Sort), KeyType: opt.Of(model.KeyTypeRange)})
	}
	return list
}

func provisioned(t tables.Throughput) *model.ProvisionedThroughputDescription {
	return &model.ProvisionedThroughputDescription{ReadCapacityUnits: opt.Of(t.Read), WriteCapacityUnits: opt.Of(t.Write),
		NumberOfDecreasesToday: opt.Of(int64(0))}
}
