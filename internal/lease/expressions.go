package lease

import (
	"strings"

	"thalweg/internal/awsapi/codec"
	model "thalweg/internal/awsapi/model/dynamodb"
	"thalweg/internal/opt"
	"thalweg/internal/tables/expr"
)

// parameter is one by which a request says what a condition or an update can say
// too; given is whether the request has it.
type parameter struct {
	name  string
	given bool
}

func given(list []parameter) (names []string) {
	for _, p := range list {
		if p.given {
			names = append(names, p.name)
		}
	}
	return names
}

// input checks the two ways to say things, by expressions and by the older
// parameters, against each other, and reads what expressions refer to.
func input(expressions, older []parameter, names map[string]string, values map[string]model.AttributeValue) (*expr.Input, error) {
	used, old := given(expressions), given(older)
	if len(used) > 0 && len(old) > 0 {
		return nil, invalid("Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {" +
			strings.Join(old, ", ") + "} Expression parameters: {" + strings.Join(used, ", ") + "}")
	}
	if len(used) == 0 {
		if names != nil {
			return nil, invalid("ExpressionAttributeNames can only be specified when using expressions")
		}
		if values != nil {
			all := make([]string, len(expressions))
			for i, e := range expressions {
				all[i] = e.name
			}
			is := " is null"
			if len(all) > 1 {
				is = " are null"
			}
			return nil, invalid("ExpressionAttributeValues can only be specified when using expressions: " + strings.Join(all, " and ") + is)
		}
	}
	x := &expr.Input{Names: names}
	if names != nil && len(names) == 0 {
		return nil, invalid("ExpressionAttributeNames must not be empty")
	}
	for _, k := range codec.SortedKeys(names) {
		if !placeholder(k, '#') {
			return nil, invalid(`ExpressionAttributeNames contains invalid key: Syntax error; key: "` + k + `"`)
		}
	}
	if values == nil {
		return x, nil
	}
	if len(values) == 0 {
		return nil, invalid("ExpressionAttributeValues must not be empty")
	}
	for _, k := range codec.SortedKeys(values) {
		if !placeholder(k, ':') {
			return nil, invalid(`ExpressionAttributeValues contains invalid key: Syntax error; key: "` + k + `"`)
		}
		v := values[k]
		if _, err := valueOf(&v); err != nil {
			return nil, invalid("ExpressionAttributeValues contains invalid value: " + sentence(err) + " for key " + k)
		}
	}
	var err error
	x.Values, err = item(values)
	return x, err
}

// placeholder reports whether k is a name or a value that an expression can
// refer to.
func placeholder(k string, first byte) bool {
	if len(k) < 2 || k[0] != first {
		return false
	}
	for i := 1; i < len(k); i++ {
		c := k[i] | 0x20
		if (c < 'a' || c > 'z') && (k[i] < '0' || k[i] > '9') && k[i] != '_' {
			return false
		}
	}
	return true
}

// condition reads a ConditionExpression or FilterExpression, nil when absent.
func condition(x *expr.Input, what string, text opt.V[string]) (expr.Condition, error) {
	if !text.Set {
		return nil, nil
	}
	c, err := x.Condition(what, text.V)
	return c, wireError(err)
}

// conditions are the parameters by which a write says its condition.
type conditions struct {
	expression opt.V[string]
	names      map[string]string
	values     map[string]model.AttributeValue
	expected   map[string]model.ExpectedAttributeValue
	operator   opt.V[model.ConditionalOperator]
}

// read returns the condition of a put or a delete.
func (c *conditions) read() (expr.Condition, error) {
	x, err := input([]parameter{{"ConditionExpression", c.expression.Set}},
		[]parameter{{"Expected", c.expected != nil}, {"ConditionalOperator", c.operator.Set}}, c.names, c.values)
	if err != nil {
		return nil, err
	}
	cond, err := c.condition(x)
	if err != nil {
		return nil, err
	}
	return cond, wireError(x.Unused())
}

func (c *conditions) condition(x *expr.Input) (expr.Condition, error) {
	if c.expected != nil {
		return expected(c.expected, c.operator)
	}
	if c.operator.Set {
		return nil, invalid("ConditionalOperator cannot be used without Filter or Expected")
	}
	return condition(x, "ConditionExpression", c.expression)
}
