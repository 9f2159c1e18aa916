package lease

import (
	"context"

	model "thalweg/internal/awsapi/model/dynamodb"
	"thalweg/internal/opt"
	"thalweg/internal/tables"
)

// PutItem
//
// Puts an item in the place of any of its key, durably, if its condition
// (ConditionExpression, or Expected) holds for the one that is there. ReturnValues
// ALL_OLD answers with that. An item has at most 400 KB.
//
// Errors: ConditionalCheckFailed, with the item when
// ReturnValuesOnConditionCheckFailure asks for it; ResourceNotFound;
// ProvisionedThroughputExceeded when items take all the memory that they may.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_PutItem.html
//
// Status: done
// Deviation: ConsumedCapacity and ItemCollectionMetrics are never answered, because nothing is metered
func (d *Tables) PutItem(ctx context.Context, in *model.PutItemInput) (*model.PutItemOutput, error) {
	scope, table, err := resolve(ctx, in.TableName.V)
	if err != nil {
		return nil, err
	}
	if r := in.ReturnValues; r.Set && r.V != model.ReturnValueNone && r.V != model.ReturnValueAllOld {
		return nil, invalid("ReturnValues can only be ALL_OLD or NONE")
	}
	w := tables.Write{Table: table, Op: tables.Put}
	if w.Item, err = item(in.Item); err != nil {
		return nil, err
	}
	c := conditions{in.ConditionExpression, in.ExpressionAttributeNames, in.ExpressionAttributeValues, in.Expected, in.ConditionalOperator}
	if w.Condition, err = c.read(); err != nil {
		return nil, err
	}
	o, err := d.tables.Write(ctx, scope, w)
	if err != nil {
		return nil, writeError(err, shows(in.ReturnValuesOnConditionCheckFailure))
	}
	out := &model.PutItemOutput{}
	if in.ReturnValues.V == model.ReturnValueAllOld {
		out.Attributes = attributes(o.Old)
	}
	return out, nil
}

// shows is whether the item that fails a condition is to be shown.
func shows(v opt.V[model.ReturnValuesOnConditionCheckFailure]) bool {
	return v.V == model.ReturnValuesOnConditionCheckFailureAllOld
}
