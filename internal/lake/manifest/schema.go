package manifest

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"

	"github.com/twmb/avro"

	"thalweg/internal/errs"
	"thalweg/internal/lake/partition"
)

// listSchema is that of a list of manifests.
const listSchema = `{"type":"record","name":"manifest_file","fields":[
{"name":"manifest_path","type":"string","field-id":500},
{"name":"manifest_length","type":"long","field-id":501},
{"name":"partition_spec_id","type":"int","field-id":502},
{"name":"content","type":"int","field-id":517},
{"name":"sequence_number","type":"long","field-id":515},
{"name":"min_sequence_number","type":"long","field-id":516},
{"name":"added_snapshot_id","type":"long","field-id":503},
{"name":"added_files_count","type":"int","field-id":504},
{"name":"existing_files_count","type":"int","field-id":505},
{"name":"deleted_files_count","type":"int","field-id":506},
{"name":"added_rows_count","type":"long","field-id":512},
{"name":"existing_rows_count","type":"long","field-id":513},
{"name":"deleted_rows_count","type":"long","field-id":514},
{"name":"partitions","type":["null",{"type":"array","element-id":508,"items":{"type":"record","name":"r508","fields":[
	{"name":"contains_null","type":"boolean","field-id":509},
	{"name":"contains_nan","type":["null","boolean"],"default":null,"field-id":518},
	{"name":"lower_bound","type":["null","bytes"],"default":null,"field-id":510},
	{"name":"upper_bound","type":["null","bytes"],"default":null,"field-id":511}]}}],"default":null,"field-id":507},
{"name":"key_metadata","type":["null","bytes"],"default":null,"field-id":519}]}`

// entry is the schema of a manifest's entries, with a place for the partition's fields.
const entry = `{"type":"record","name":"manifest_entry","fields":[
{"name":"status","type":"int","field-id":0},
{"name":"snapshot_id","type":["null","long"],"default":null,"field-id":1},
{"name":"sequence_number","type":["null","long"],"default":null,"field-id":3},
{"name":"file_sequence_number","type":["null","long"],"default":null,"field-id":4},
{"name":"data_file","field-id":2,"type":{"type":"record","name":"r2","fields":[
	{"name":"content","type":"int","field-id":134},
	{"name":"file_path","type":"string","field-id":100},
	{"name":"file_format","type":"string","field-id":101},
	{"name":"partition","field-id":102,"type":{"type":"record","name":"r102","fields":%s}},
	{"name":"record_count","type":"long","field-id":103},
	{"name":"file_size_in_bytes","type":"long","field-id":104},
	{"name":"value_counts","type":["null",%s],"default":null,"field-id":109},
	{"name":"null_value_counts","type":["null",%s],"default":null,"field-id":110},
	{"name":"lower_bounds","type":["null",%s],"default":null,"field-id":125},
	{"name":"upper_bounds","type":["null",%s],"default":null,"field-id":128},
	{"name":"sort_order_id","type":["null","int"],"default":null,"field-id":140}]}}]}`

// mapSchema is that of a map by the ids of columns.
func mapSchema(key, value int, of string) string {
	return fmt.Sprintf(`{"type":"array","logicalType":"map","items":{"type":"record","name":"k%d_v%d","fields":[`+
		`{"name":"key","type":"int","field-id":%d},{"name":"value","type":"%s","field-id":%d}]}}`, key, value, key, of, value)
}

// entrySchema is the schema of a manifest's entries, and what it calls the fields of the
// partition.
func entrySchema(s *partition.Spec) (*avro.Schema, []string, error) {
	fields, names := []map[string]any{}, make([]string, len(s.Fields))
	for i := range s.Fields {
		f := &s.Fields[i]
		t, err := avroType(f.Type(), f.ID)
		if err != nil {
			return nil, nil, err
		}
		names[i] = avroName(f.Name)
		field := map[string]any{"name": names[i], "field-id": f.ID, "default": nil, "type": []any{"null", t}}
		if names[i] != f.Name {
			field["iceberg-field-name"] = f.Name
		}
		fields = append(fields, field)
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		return nil, nil, err
	}
	schema, err := avro.Parse(fmt.Sprintf(entry, raw, mapSchema(119, 120, "long"), mapSchema(121, 122, "long"),
		mapSchema(126, 127, "bytes"), mapSchema(129, 130, "bytes")))
	return schema, names, err
}

// avroName is a name that Avro takes: what it does not is written by its number.
func avroName(name string) string {
	var b strings.Builder
	for i, r := range name {
		switch {
		case r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || i > 0 && '0' <= r && r <= '9':
			b.WriteRune(r)
		case '0' <= r && r <= '9':
			b.WriteByte('_')
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, "_x%X", r)
		}
	}
	return b.String()
}

// primitives are how Avro has types.
var primitives = map[string]any{
	"boolean": "boolean", "int": "int", "long": "long", "float": "float", "double": "double", "string": "string", "binary": "bytes",
	"date":        map[string]any{"type": "int", "logicalType": "date"},
	"time":        map[string]any{"type": "long", "logicalType": "time-micros"},
	"timestamp":   map[string]any{"type": "long", "logicalType": "timestamp-micros", "adjust-to-utc": false},
	"timestamptz": map[string]any{"type": "long", "logicalType": "timestamp-micros", "adjust-to-utc": true},
	"uuid":        map[string]any{"type": "fixed", "name": "uuid_fixed", "size": 16, "logicalType": "uuid"},
}

func avroType(t string, id int) (any, error) {
	if p, ok := primitives[t]; ok {
		return p, nil
	}
	var precision, scale, size int
	if n, _ := fmt.Sscanf(strings.ReplaceAll(t, " ", ""), "decimal(%d,%d)", &precision, &scale); n == 2 {
		return map[string]any{"type": "fixed", "name": fmt.Sprintf("decimal_%d", id), "size": decimalBytes(precision), "logicalType": "decimal",
			"precision": precision, "scale": scale}, nil
	}
	if n, _ := fmt.Sscanf(t, "fixed[%d]", &size); n == 1 {
		return map[string]any{"type": "fixed", "name": fmt.Sprintf("fixed_%d", id), "size": size}, nil
	}
	return nil, errs.New(errs.Invalid, "a partition's field cannot be of type "+t)
}

// decimalBytes is how many bytes hold so many digits and a sign.
func decimalBytes(precision int) int {
	most := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(precision)), nil)
	return most.Sub(most, big.NewInt(1)).BitLen()/8 + 1
}

// avroValue is a value as the encoder takes it.
func avroValue(v any, t string) any {
	i, ok := v.(*big.Int)
	if !ok {
		return v
	}
	var precision, scale int
	_, _ = fmt.Sscanf(strings.ReplaceAll(t, " ", ""), "decimal(%d,%d)", &precision, &scale)
	return new(big.Rat).SetFrac(i, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil))
}
