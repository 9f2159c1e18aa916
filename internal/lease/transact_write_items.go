package lease

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"

	"thalweg/internal/awsapi"
	"thalweg/internal/awsapi/codec"
	"thalweg/internal/awsapi/codec/json"
	model "thalweg/internal/awsapi/model/dynamodb"
	"thalweg/internal/errs"
	"thalweg/internal/opt"
	"thalweg/internal/tables"
)

// TransactWriteItems
//
// Does up to 100 writes and checks of different items of several tables, durably,
// all of them or none. The same request with the same ClientRequestToken within
// ten minutes does nothing and succeeds. All tables are the caller's account's and
// region's.
//
// Errors: TransactionCanceled, whose CancellationReasons say for each item why, in
// order; IdempotentParameterMismatch for the token of another request;
// ResourceNotFound; Validation, also beyond 4 MB of items.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
//
// Status: done
// Deviation: transactions wait for each other instead of failing with TransactionConflict
func (d *Tables) TransactWriteItems(ctx context.Context, in *model.TransactWriteItemsInput) (*model.TransactWriteItemsOutput, error) {
	writes := make([]tables.Write, len(in.TransactItems))
	show := make([]bool, len(in.TransactItems))
	for i := range in.TransactItems {
		var err error
		if writes[i], show[i], err = transactWrite(ctx, &in.TransactItems[i]); err != nil {
			return nil, err
		}
	}
	token, sum := in.ClientRequestToken.V, ""
	if token != "" {
		sum = requestSum(in)
	}
	err := d.tables.Transact(ctx, scopeOf(awsapi.CallerFrom(ctx)), writes, token, sum)
	var canceled *tables.Canceled
	switch {
	case err == nil:
		return &model.TransactWriteItemsOutput{}, nil
	case errors.As(err, &canceled):
		return nil, canceledError(canceled, show)
	case errs.KindOf(err) == errs.Exists:
		return nil, model.NewIdempotentParameterMismatchException(message(err))
	}
	return nil, wireError(err)
}

// requestSum tells requests of one token apart: a hash of what they ask for.
func requestSum(in *model.TransactWriteItemsInput) string {
	e := json.NewEncoder(nil)
	same := model.TransactWriteItemsInput{TransactItems: in.TransactItems}
	same.Encode(e)
	sum := sha256.Sum256(e.Bytes())
	return hex.EncodeToString(sum[:])
}

// transactWrite reads one write of a transaction, and whether the item that fails
// its condition is to be shown.
func transactWrite(ctx context.Context, t *model.TransactWriteItem) (w tables.Write, show bool, err error) {
	var name opt.V[string]
	var key map[string]model.AttributeValue
	var c conditions
	var onFailure opt.V[model.ReturnValuesOnConditionCheckFailure]
	kinds := 0
	if p := t.Put; p != nil {
		kinds++
		name, onFailure = p.TableName, p.ReturnValuesOnConditionCheckFailure
		c = conditions{expression: p.ConditionExpression, names: p.ExpressionAttributeNames, values: p.ExpressionAttributeValues}
		w.Op = tables.Put
		if w.Item, err = item(p.Item); err != nil {
			return w, false, err
		}
	}
	if p := t.Delete; p != nil {
		kinds++
		w.Op, name, key, onFailure = tables.Remove, p.TableName, p.Key, p.ReturnValuesOnConditionCheckFailure
		c = conditions{expression: p.ConditionExpression, names: p.ExpressionAttributeNames, values: p.ExpressionAttributeValues}
	}
	if p := t.ConditionCheck; p != nil {
		kinds++
		w.Op, name, key, onFailure = tables.Check, p.TableName, p.Key, p.ReturnValuesOnConditionCheckFailure
		c = conditions{expression: p.ConditionExpression, names: p.ExpressionAttributeNames, values: p.ExpressionAttributeValues}
	}
	if p := t.Update; p != nil {
		kinds++
		w.Op, name, key, onFailure = tables.Change, p.TableName, p.Key, p.ReturnValuesOnConditionCheckFailure
		c = conditions{expression: p.ConditionExpression, names: p.ExpressionAttributeNames, values: p.ExpressionAttributeValues}
	}
	if kinds != 1 {
		return w, false, invalid("TransactItems can only contain one of Check, Put, Update or Delete")
	}
	if w.Table, err = authorised(ctx, name.V); err != nil {
		return w, false, err
	}
	if w.Key, err = item(key); err != nil {
		return w, false, err
	}
	var update opt.V[string]
	if t.Update != nil {
		update = t.Update.UpdateExpression
	}
	x, err := input([]parameter{{"UpdateExpression", update.Set}, {"ConditionExpression", c.expression.Set}}, nil, c.names, c.values)
	if err != nil {
		return w, false, err
	}
	if update.Set {
		if w.Update, err = x.Update(update.V); err != nil {
			return w, false, wireError(err)
		}
	}
	if w.Condition, err = c.condition(x); err != nil {
		return w, false, err
	}
	return w, onFailure.V == model.ReturnValuesOnConditionCheckFailureAllOld, wireError(x.Unused())
}

// canceledError says why a transaction was not done, write by write.
func canceledError(c *tables.Canceled, show []bool) error {
	codes := make([]string, len(c.Reasons))
	for i, err := range c.Reasons {
		codes[i] = reasonCode(err)
	}
	return model.NewTransactionCanceledException("Transaction cancelled, please refer cancellation reasons for specific reasons ["+
		strings.Join(codes, ", ")+"]").With("CancellationReasons", func(e codec.Encoder) {
		e.BeginList(len(c.Reasons))
		for i, err := range c.Reasons {
			encodeReason(e, err, show[i])
		}
		e.EndList()
	})
}

func reasonCode(err error) string {
	var failed *tables.ConditionFailed
	switch {
	case err == nil:
		return "None"
	case errors.As(err, &failed):
		return "ConditionalCheckFailed"
	}
	return "ValidationError"
}

// encodeReason writes a CancellationReason, a shape that only errors have.
func encodeReason(e codec.Encoder, err error, show bool) {
	e.BeginStruct()
	e.Key("Code")
	e.String(reasonCode(err))
	var failed *tables.ConditionFailed
	if errors.As(err, &failed) && show && failed.Item != nil {
		e.Key("Item")
		encodedItem(failed.Item)(e)
	}
	if err != nil {
		e.Key("Message")
		e.String(message(err))
	}
	e.EndStruct()
}
