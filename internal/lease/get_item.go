package lease

import (
	"context"

	model "thalweg/internal/awsapi/model/dynamodb"
	"thalweg/internal/opt"
	"thalweg/internal/tables/expr"
	"thalweg/internal/tables/value"
)

// GetItem
//
// Returns the item of a key, or what ProjectionExpression (AttributesToGet)
// selects of it; no Item when there is none. Every read is consistent.
//
// Errors: ResourceNotFound; Validation for a key that is not the table's.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_GetItem.html
//
// Status: done
func (d *Tables) GetItem(ctx context.Context, in *model.GetItemInput) (*model.GetItemOutput, error) {
	scope, table, err := resolve(ctx, in.TableName.V)
	if err != nil {
		return nil, err
	}
	key, err := item(in.Key)
	if err != nil {
		return nil, err
	}
	p, err := projection(in.ProjectionExpression, in.AttributesToGet, in.ExpressionAttributeNames)
	if err != nil {
		return nil, err
	}
	it, err := d.tables.Get(scope, table, key)
	if err != nil {
		return nil, wireError(err)
	}
	if err := hold(ctx, it.Size()); err != nil {
		return nil, err
	}
	return &model.GetItemOutput{Item: attributes(selected(p, it))}, nil
}

// projection reads what a read selects, nil for everything.
func projection(text opt.V[string], older []string, names map[string]string) (expr.Projection, error) {
	x, err := input([]parameter{{"ProjectionExpression", text.Set}}, []parameter{{"AttributesToGet", older != nil}}, names, nil)
	if err != nil {
		return nil, err
	}
	p, err := selection(x, text, older)
	if err != nil {
		return nil, err
	}
	return p, wireError(x.Unused())
}

func selection(x *expr.Input, text opt.V[string], older []string) (expr.Projection, error) {
	if text.Set {
		p, err := x.Projection(text.V)
		return p, wireError(err)
	}
	var p expr.Projection
	for _, name := range older {
		p = append(p, expr.Attribute(name))
	}
	return p, nil
}

// selected is what a projection shows of an item; nil of either is all of it.
func selected(p expr.Projection, it value.Item) value.Item {
	if p == nil || it == nil {
		return it
	}
	return p.Of(it)
}
