package kafka

import (
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
)

// fill sets dst, a message of kmsg or a part of one, to what a script says.
// Fields that it does not name keep the protocol's defaults.
func fill(dst reflect.Value, src any, vars map[string]any) error {
	if s, ok := src.(string); ok {
		var err error
		if src, err = expand(s, vars); err != nil {
			return err
		}
	}
	switch dst.Kind() {
	case reflect.Pointer:
		if src == nil {
			dst.SetZero()
			return nil
		}
		dst.Set(reflect.New(dst.Type().Elem()))
		setDefaults(dst)
		return fill(dst.Elem(), src, vars)
	case reflect.Struct:
		return fillStruct(dst, src, vars)
	case reflect.Array:
		id, ok := src.([16]byte)
		if s, isText := src.(string); isText {
			raw, err := hex.DecodeString(s)
			ok = err == nil && copy(id[:], raw) == len(id)
		}
		if !ok {
			return fmt.Errorf("%v is no id", src)
		}
		dst.Set(reflect.ValueOf(id))
		return nil
	case reflect.Slice:
		return fillSlice(dst, src, vars)
	}
	v := reflect.ValueOf(src)
	if !v.IsValid() || !v.CanConvert(dst.Type()) || (v.Kind() == reflect.String) != (dst.Kind() == reflect.String) {
		return fmt.Errorf("%v does not fit %s", src, dst.Type())
	}
	dst.Set(v.Convert(dst.Type()))
	return nil
}

func fillStruct(dst reflect.Value, src any, vars map[string]any) error {
	m, ok := src.(map[string]any)
	if !ok {
		return fmt.Errorf("%v does not fit %s", src, dst.Type())
	}
	for name, v := range m {
		f := dst.FieldByName(name)
		if !f.IsValid() {
			return fmt.Errorf("%s has no field %s", dst.Type(), name)
		}
		if err := fill(f, v, vars); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func fillSlice(dst reflect.Value, src any, vars map[string]any) error {
	switch v := src.(type) {
	case nil:
		dst.SetZero()
	case string: // bytes
		dst.SetBytes([]byte(v))
	case map[string]any: // record batches
		b, err := buildBatch(v, vars)
		if err != nil {
			return err
		}
		dst.SetBytes(b)
	case []any:
		out := reflect.MakeSlice(dst.Type(), len(v), len(v))
		for i, e := range v {
			setDefaults(out.Index(i).Addr())
			if err := fill(out.Index(i), e, vars); err != nil {
				return fmt.Errorf("%d: %w", i, err)
			}
		}
		dst.Set(out)
	default:
		return fmt.Errorf("%v does not fit %s", src, dst.Type())
	}
	return nil
}

func setDefaults(p reflect.Value) {
	if d, ok := p.Interface().(interface{ Default() }); ok {
		d.Default()
	}
}

// expand replaces $NAME by the value kept under it, as it is where it is all of
// s, and $T within s.
func expand(s string, vars map[string]any) (any, error) {
	if name, ok := strings.CutPrefix(s, "$"); ok && !strings.HasPrefix(name, "T") {
		v, kept := vars[name]
		if !kept {
			return nil, fmt.Errorf("nothing is kept as $%s", name)
		}
		return v, nil
	}
	return strings.ReplaceAll(s, "$T", vars["T"].(string)), nil
}
