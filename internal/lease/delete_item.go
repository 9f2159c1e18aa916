package lease

import (
	"context"

	model "thalweg/internal/awsapi/model/dynamodb"
	"thalweg/internal/tables"
)

// DeleteItem
//
// Deletes the item of a key, durably, if its condition (ConditionExpression, or
// Expected) holds; that there is none is a success. ReturnValues ALL_OLD answers
// with what was there.
//
// Errors: as PutItem's.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DeleteItem.html
//
// Status: done
func (d *Tables) DeleteItem(ctx context.Context, in *model.DeleteItemInput) (*model.DeleteItemOutput, error) {
	scope, table, err := resolve(ctx, in.TableName.V)
	if err != nil {
		return nil, err
	}
	if r := in.ReturnValues; r.Set && r.V != model.ReturnValueNone && r.V != model.ReturnValueAllOld {
		return nil, invalid("ReturnValues can only be ALL_OLD or NONE")
	}
	w := tables.Write{Table: table, Op: tables.Remove}
	if w.Key, err = item(in.Key); err != nil {
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
	out := &model.DeleteItemOutput{}
	if in.ReturnValues.V == model.ReturnValueAllOld {
		out.Attributes = attributes(o.Old)
	}
	return out, nil
}
