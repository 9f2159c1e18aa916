package lease

import (
	"strconv"

	"thalweg/internal/awsapi/codec"
	model "thalweg/internal/awsapi/model/dynamodb"
	"thalweg/internal/opt"
	"thalweg/internal/tables/expr"
	"thalweg/internal/tables/value"
)

// The older parameters say in members what expressions say in text (developer
// guide, "Legacy conditional parameters"). Consumer libraries renew their
// leases with Expected and AttributeUpdates.

// joined is all conditions, or any of them.
func joined(list []expr.Condition, operator opt.V[model.ConditionalOperator]) expr.Condition {
	if operator.V == model.ConditionalOperatorOr {
		return expr.Or(list)
	}
	return expr.And(list)
}

// expected reads Expected.
func expected(m map[string]model.ExpectedAttributeValue, operator opt.V[model.ConditionalOperator]) (expr.Condition, error) {
	var list []expr.Condition
	for _, name := range codec.SortedKeys(m) {
		e := m[name]
		path := expr.Attribute(name)
		bad := func(text string) error {
			return invalid("One or more parameter values were invalid: " + text + " for Attribute: " + name)
		}
		switch {
		case e.ComparisonOperator.Set:
			if e.Exists.Set {
				return nil, bad("Exists and ComparisonOperator cannot be used together")
			}
			args := e.AttributeValueList
			if e.Value != nil {
				if args != nil {
					return nil, bad("Value and AttributeValueList cannot be used together")
				}
				args = []model.AttributeValue{*e.Value}
			}
			c, err := comparison(name, e.ComparisonOperator.V, args)
			if err != nil {
				return nil, err
			}
			list = append(list, c)
		case e.AttributeValueList != nil:
			return nil, bad("AttributeValueList can only be used with a ComparisonOperator")
		case e.Exists.Set && !e.Exists.V:
			if e.Value != nil {
				return nil, bad("Value cannot be used when Exists is set to false")
			}
			list = append(list, expr.Not{Condition: expr.Exists{Path: path}})
		case e.Value == nil:
			text := "Value must be provided when Exists is null"
			if e.Exists.Set {
				text = "Value must be provided when Exists is set to true"
			}
			return nil, bad(text)
		default:
			v, err := valueOf(e.Value)
			if err != nil {
				return nil, err
			}
			list = append(list, expr.Comparison{Op: "=", Left: path, Right: expr.Given{Value: v}})
		}
	}
	return joined(list, operator), nil
}

// filter reads KeyConditions, QueryFilter or ScanFilter, nil when absent.
func filter(m map[string]model.Condition, operator opt.V[model.ConditionalOperator]) (expr.Condition, error) {
	if m == nil {
		return nil, nil
	}
	var list []expr.Condition
	for _, name := range codec.SortedKeys(m) {
		c, err := comparison(name, m[name].ComparisonOperator.V, m[name].AttributeValueList)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return joined(list, operator), nil
}

// comparison reads one comparison with an attribute.
func comparison(name string, op model.ComparisonOperator, args []model.AttributeValue) (expr.Condition, error) {
	path := expr.Attribute(name)
	operands := make([]expr.Operand, len(args))
	values := make([]value.Value, len(args))
	for i := range args {
		v, err := valueOf(&args[i])
		if err != nil {
			return nil, err
		}
		values[i], operands[i] = v, expr.Given{Value: v}
	}
	least, most := 1, 1
	switch op {
	case model.ComparisonOperatorNull, model.ComparisonOperatorNotNull:
		least, most = 0, 0
	case model.ComparisonOperatorBetween:
		least, most = 2, 2
	case model.ComparisonOperatorIn:
		most = len(args)
	}
	if len(args) < least || len(args) > most {
		return nil, invalid("One or more parameter values were invalid: Invalid number of argument(s) for the " + string(op) +
			" ComparisonOperator: " + strconv.Itoa(len(args)))
	}
	if err := comparable(op, values); err != nil {
		return nil, err
	}
	symbols := map[model.ComparisonOperator]string{
		model.ComparisonOperatorEq: "=", model.ComparisonOperatorNe: "<>", model.ComparisonOperatorLt: "<",
		model.ComparisonOperatorLe: "<=", model.ComparisonOperatorGt: ">", model.ComparisonOperatorGe: ">=",
	}
	if s, ok := symbols[op]; ok {
		return expr.Comparison{Op: s, Left: path, Right: operands[0]}, nil
	}
	switch op {
	case model.ComparisonOperatorNull:
		return expr.Not{Condition: expr.Exists{Path: path}}, nil
	case model.ComparisonOperatorNotNull:
		return expr.Exists{Path: path}, nil
	case model.ComparisonOperatorBetween:
		return expr.Between{Operand: path, Low: operands[0], High: operands[1]}, nil
	case model.ComparisonOperatorIn:
		return expr.In{Operand: path, List: operands}, nil
	case model.ComparisonOperatorBeginsWith:
		return expr.BeginsWith{Operand: path, Prefix: operands[0]}, nil
	case model.ComparisonOperatorContains:
		return expr.Contains{Operand: path, Part: operands[0]}, nil
	}
	return expr.And{expr.Exists{Path: path}, expr.Not{Condition: expr.Contains{Operand: path, Part: operands[0]}}}, nil
}

// comparable checks that an operator can be asked with values of their types.
func comparable(op model.ComparisonOperator, values []value.Value) error {
	for _, v := range values {
		scalar := v.Kind == value.String || v.Kind == value.Numeric || v.Kind == value.Binary
		switch op {
		case model.ComparisonOperatorLt, model.ComparisonOperatorLe, model.ComparisonOperatorGt, model.ComparisonOperatorGe,
			model.ComparisonOperatorBetween, model.ComparisonOperatorIn, model.ComparisonOperatorContains, model.ComparisonOperatorNotContains:
		case model.ComparisonOperatorBeginsWith:
			scalar = scalar && v.Kind != value.Numeric
		default:
			scalar = true
		}
		if !scalar {
			return invalid("One or more parameter values were invalid: ComparisonOperator " + string(op) + " is not valid for " +
				v.Kind.String() + " AttributeValue type")
		}
	}
	return nil
}

// updates reads AttributeUpdates.
func updates(m map[string]model.AttributeValueUpdate) (*expr.Update, error) {
	u := &expr.Update{}
	for _, name := range codec.SortedKeys(m) {
		a := m[name]
		path := expr.Attribute(name)
		action := a.Action.Or(model.AttributeActionPut)
		if a.Value == nil {
			if action != model.AttributeActionDelete {
				return nil, invalid("One or more parameter values were invalid: Only DELETE action is allowed when no attribute value is specified")
			}
			u.Removes = append(u.Removes, path)
			continue
		}
		v, err := valueOf(a.Value)
		if err != nil {
			return nil, err
		}
		switch action {
		case model.AttributeActionPut:
			u.Sets = append(u.Sets, expr.Set{Path: path, Value: expr.Term{First: expr.Given{Value: v}}})
		case model.AttributeActionAdd:
			if v.Kind != value.Numeric && !v.Kind.IsSet() {
				return nil, invalid("One or more parameter values were invalid: ADD action is not supported for the type " + v.Kind.String())
			}
			u.Adds = append(u.Adds, expr.Change{Path: path, Value: v})
		case model.AttributeActionDelete:
			if !v.Kind.IsSet() {
				return nil, invalid("One or more parameter values were invalid: DELETE action with value is not supported for the type " + v.Kind.String())
			}
			u.Deletes = append(u.Deletes, expr.Change{Path: path, Value: v})
		}
	}
	return u, nil
}
