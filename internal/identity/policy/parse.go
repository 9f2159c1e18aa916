package policy

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"thalweg/internal/arn"
	"thalweg/internal/errs"
)

// Parse reads a policy. An error is Invalid and says what is wrong with it.
func Parse(text string) (*Policy, error) {
	if len(text) > MaxBytes {
		return nil, invalid("Policy has %d bytes, more than the %d that are allowed.", len(text), MaxBytes)
	}
	if !utf8.ValidString(text) {
		return nil, invalid("Policy is not UTF-8.")
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	tree, err := readValue(d, 0)
	if err == nil {
		if _, end := d.Token(); end != io.EOF {
			err = fmt.Errorf("something follows its end")
		}
	}
	if err != nil {
		return nil, invalid("Policy is not valid JSON: %v.", err)
	}
	return document(tree)
}

func invalid(format string, args ...any) error {
	return errs.New(errs.Invalid, fmt.Sprintf(format, args...))
}

// maxDepth is deeper than any policy: document, statements, statement,
// condition, operator, values.
const maxDepth = 8

// readValue reads one JSON value: nil, bool, json.Number, string, []any, or
// map[string]any. A name that an object has twice is an error: which of the two
// counts would be anybody's guess.
func readValue(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return t, nil
	}
	if depth == maxDepth {
		return nil, fmt.Errorf("it is nested more than %d deep", maxDepth)
	}
	if delim == '[' {
		list := []any{}
		for d.More() {
			v, err := readValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	}
	object := map[string]any{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		key, _ := name.(string) // the decoder knows no other
		if _, twice := object[key]; twice {
			return nil, fmt.Errorf("it has %q twice in one object", key)
		}
		if object[key], err = readValue(d, depth+1); err != nil {
			return nil, err
		}
	}
	_, err = d.Token()
	return object, err
}

func document(tree any) (*Policy, error) {
	doc, ok := tree.(map[string]any)
	if !ok {
		return nil, invalid("Policy is not a JSON object.")
	}
	list := []any(nil)
	for name, v := range doc {
		switch text, isText := v.(string); name {
		case "Version":
			if text != "2012-10-17" && text != "2008-10-17" {
				return nil, invalid("Policy Version must be 2012-10-17 or 2008-10-17.")
			}
		case "Id":
			if !isText {
				return nil, invalid("Policy Id must be a string.")
			}
		case "Statement":
			if list, ok = v.([]any); !ok {
				list = []any{v}
			}
		default:
			return nil, invalid("Policy has an unknown element %q.", name)
		}
	}
	if len(list) == 0 {
		return nil, invalid("Policy has no Statement.")
	}
	p := &Policy{statements: make([]statement, len(list))}
	ids := map[string]bool{}
	for i, v := range list {
		s, ok := v.(map[string]any)
		if !ok {
			return nil, invalid("Statement %d is not a JSON object.", i+1)
		}
		if err := p.statements[i].read(s, ids); err != nil {
			return nil, invalid("Statement %d: %v.", i+1, err)
		}
	}
	return p, nil
}

var (
	principalForm = regexp.MustCompile(`^(\d{12}|arn:[a-z-]+:iam::\d{12}:(root|(user|role)/\S+)|arn:[a-z-]+:sts::\d{12}:assumed-role/\S+)$`)
	serviceForm   = regexp.MustCompile(`^[a-z0-9.-]+\.amazonaws\.com(\.cn)?$`)
	actionForm    = regexp.MustCompile(`^(\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+)$`)
	sidForm       = regexp.MustCompile(`^[A-Za-z0-9 ]*$`)
)

// read fills s from a statement's members.
func (s *statement) read(members map[string]any, ids map[string]bool) (err error) {
	for name, v := range members {
		switch name {
		case "Sid":
			id, ok := v.(string)
			if !ok || !sidForm.MatchString(id) {
				return fmt.Errorf("Sid must be letters, digits and spaces")
			}
			if id != "" && ids[id] {
				return fmt.Errorf("another has the Sid %q", id)
			}
			ids[id] = true
		case "Effect":
			switch v {
			case "Allow":
				s.effect = Allow
			case "Deny":
				s.effect = Deny
			default:
				return fmt.Errorf("Effect must be Allow or Deny")
			}
		case "Principal":
			s.principals, err = principals(v)
		case "Action", "NotAction":
			if s.actions != nil {
				return fmt.Errorf("it has both Action and NotAction")
			}
			s.notActions = name == "NotAction"
			s.actions, err = texts(name, v, actionForm)
			for i := range s.actions {
				s.actions[i] = strings.ToLower(s.actions[i])
			}
		case "Resource":
			s.resources, err = texts(name, v, nil)
		case "Condition":
			s.conditions, err = conditions(v)
		default:
			return fmt.Errorf("%q is not supported in a resource policy here", name)
		}
		if err != nil {
			return err
		}
	}
	switch {
	case s.effect == Silent:
		return fmt.Errorf("it has no Effect")
	case s.principals == nil:
		return fmt.Errorf("it has no Principal")
	case s.actions == nil:
		return fmt.Errorf("it has no Action")
	case s.resources == nil:
		return fmt.Errorf("it has no Resource")
	}
	return nil
}

// principals reads "*", or an object of AWS and Service principals. The services
// of AWS do not call this server, so those names are checked and match nobody.
func principals(v any) ([]string, error) {
	if v == "*" {
		return []string{"*"}, nil
	}
	object, ok := v.(map[string]any)
	if !ok || len(object) == 0 {
		return nil, fmt.Errorf(`Principal must be "*" or an object`)
	}
	out := []string{}
	for kind, v := range object {
		switch kind {
		case "AWS":
			list, err := texts("Principal AWS", v, nil)
			if err != nil {
				return nil, err
			}
			for _, p := range list {
				if p != "*" && (!principalForm.MatchString(p) || strings.ContainsAny(p, "*?")) {
					return nil, fmt.Errorf("Principal %q is no account, user, role or \"*\"", p)
				}
			}
			for _, p := range list {
				if a, ok := arn.Parse(p); ok && a.Resource == "root" {
					p = a.Account // the same
				}
				out = append(out, p)
			}
		case "Service":
			if _, err := texts("Principal Service", v, serviceForm); err != nil {
				return nil, err
			}
		default:
			return nil, fmt.Errorf("Principal %q is not supported", kind)
		}
	}
	return out, nil
}

// texts reads a string or a list of some, each of a form unless that is nil.
func texts(name string, v any, form *regexp.Regexp) ([]string, error) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s is empty", name)
	}
	out := make([]string, len(list))
	for i, v := range list {
		text, ok := scalar(v)
		switch {
		case !ok:
			return nil, fmt.Errorf("%s must be a string or a list of strings", name)
		case text == "" || form != nil && !form.MatchString(text):
			return nil, fmt.Errorf("%s has an invalid value %q", name, text)
		case strings.Contains(text, "${"):
			return nil, fmt.Errorf("%s has a policy variable, which is not supported", name)
		}
		out[i] = text
	}
	return out, nil
}

// scalar is a string, number or bool as text.
func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}
