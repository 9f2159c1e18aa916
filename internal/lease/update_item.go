package lease

import (
	"context"

	model "thalweg/internal/awsapi/model/dynamodb"
	"thalweg/internal/tables"
	"thalweg/internal/tables/expr"
	"thalweg/internal/tables/value"
)

// UpdateItem
//
// Changes an item by UpdateExpression, or AttributeUpdates, durably, if its
// condition holds; one that is not there is made, of its key. The actions see the
// item as it was. ReturnValues answers with the whole item or what was changed of
// it, before or after.
//
// Errors: as PutItem's; Validation for an update that does not fit the item.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateItem.html
//
// Status: done
func (d *Tables) UpdateItem(ctx context.Context, in *model.UpdateItemInput) (*model.UpdateItemOutput, error) {
	scope, table, err := resolve(ctx, in.TableName.V)
	if err != nil {
		return nil, err
	}
	w := tables.Write{Table: table, Op: tables.Change}
	if w.Key, err = item(in.Key); err != nil {
		return nil, err
	}
	x, err := input(
		[]parameter{{"UpdateExpression", in.UpdateExpression.Set}, {"ConditionExpression", in.ConditionExpression.Set}},
		[]parameter{{"AttributeUpdates", in.AttributeUpdates != nil}, {"Expected", in.Expected != nil}, {"ConditionalOperator", in.ConditionalOperator.Set}},
		in.ExpressionAttributeNames, in.ExpressionAttributeValues)
	if err != nil {
		return nil, err
	}
	switch {
	case in.UpdateExpression.Set:
		if w.Update, err = x.Update(in.UpdateExpression.V); err != nil {
			return nil, wireError(err)
		}
	case in.AttributeUpdates != nil:
		if w.Update, err = updates(in.AttributeUpdates); err != nil {
			return nil, err
		}
	}
	c := conditions{expression: in.ConditionExpression, expected: in.Expected, operator: in.ConditionalOperator}
	if w.Condition, err = c.condition(x); err != nil {
		return nil, err
	}
	if err := x.Unused(); err != nil {
		return nil, wireError(err)
	}
	o, err := d.tables.Write(ctx, scope, w)
	if err != nil {
		return nil, writeError(err, shows(in.ReturnValuesOnConditionCheckFailure))
	}
	return &model.UpdateItemOutput{Attributes: attributes(returned(in.ReturnValues.V, w.Update, o))}, nil
}

// returned is what ReturnValues asks for.
func returned(want model.ReturnValue, u *expr.Update, o tables.Outcome) value.Item {
	var changed expr.Projection
	if u != nil {
		changed = u.Paths()
	}
	switch want {
	case model.ReturnValueAllOld:
		return o.Old
	case model.ReturnValueAllNew:
		return o.New
	case model.ReturnValueUpdatedOld:
		if o.Old != nil {
			return orNone(changed.Of(o.Old))
		}
	case model.ReturnValueUpdatedNew:
		return orNone(changed.Of(o.New))
	}
	return nil
}

// orNone makes none of an item without attributes.
func orNone(it value.Item) value.Item {
	if len(it) == 0 {
		return nil
	}
	return it
}
