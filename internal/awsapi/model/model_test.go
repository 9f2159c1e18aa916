package model_test

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
	"time"

	"thalweg/internal/awsapi"
	"thalweg/internal/awsapi/codec"
	"thalweg/internal/awsapi/codec/cbor"
	"thalweg/internal/awsapi/codec/json"
	"thalweg/internal/awsapi/model/firehose"
	"thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/awsapi/model/kafkaconnect"
	"thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/awsapi/model/kinesisanalyticsv2"
	"thalweg/internal/awsapi/model/kinesisvideo"
	"thalweg/internal/awsapi/model/kinesisvideoarchivedmedia"
	"thalweg/internal/awsapi/model/kinesisvideomedia"
	"thalweg/internal/awsapi/model/kinesisvideosignaling"
	"thalweg/internal/awsapi/model/kinesisvideowebrtcstorage"
	"thalweg/internal/awsapi/validate"
)

func services() []*awsapi.Service {
	return []*awsapi.Service{
		kinesis.NewService(kinesis.Unimplemented{}),
		firehose.NewService(firehose.Unimplemented{}),
		kinesisvideo.NewService(kinesisvideo.Unimplemented{}),
		kinesisvideomedia.NewService(kinesisvideomedia.Unimplemented{}),
		kinesisvideoarchivedmedia.NewService(kinesisvideoarchivedmedia.Unimplemented{}),
		kinesisvideosignaling.NewService(kinesisvideosignaling.Unimplemented{}),
		kinesisvideowebrtcstorage.NewService(kinesisvideowebrtcstorage.Unimplemented{}),
		kinesisanalyticsv2.NewService(kinesisanalyticsv2.Unimplemented{}),
		kafka.NewService(kafka.Unimplemented{}),
		kafkaconnect.NewService(kafkaconnect.Unimplemented{}),
	}
}

// shape is any generated structure.
type shape interface {
	Decode(codec.Decoder)
	Encode(codec.Encoder)
}

func toJSON(x shape) []byte {
	e := json.NewEncoder(nil)
	x.Encode(e)
	return e.Bytes()
}

func toCBOR(x shape) []byte {
	e := cbor.NewEncoder(nil)
	x.Encode(e)
	return e.Bytes()
}

func fromJSON(x shape, doc []byte) error {
	d := json.NewDecoder(bytes.Clone(doc))
	x.Decode(d)
	return d.Finish()
}

func fromCBOR(x shape, doc []byte) error {
	d := cbor.NewDecoder(bytes.Clone(doc))
	x.Decode(d)
	return d.Finish()
}

// sides returns makers of an operation's input and output.
func sides(op *awsapi.Op) []func() shape {
	return []func() shape{
		func() shape { return op.Invoke.NewInput() },
		func() shape { return op.Invoke.NewOutput() },
	}
}

// fill sets every member that a document can have.
func fill(v reflect.Value, depth int) {
	if depth > 14 {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		if set := v.FieldByName("Set"); set.IsValid() && v.NumField() == 2 {
			set.SetBool(true)
			fill(v.FieldByName("V"), depth)
			return
		}
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.UnixMilli(946684800123).UTC()))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), depth+1)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte{0, 1, 0xFE, 0xFF})
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), depth+1)
		fill(v.Index(1), depth+1)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for _, k := range []string{"a", "key \"2\"\u00e9"} {
			elem := reflect.New(v.Type().Elem()).Elem()
			fill(elem, depth+1)
			v.SetMapIndex(reflect.ValueOf(k).Convert(v.Type().Key()), elem)
		}
	case reflect.String:
		v.SetString("text \"\\\n\u00e9\U0001F600")
	case reflect.Int32, reflect.Int64:
		v.SetInt(-1234567)
	case reflect.Float64:
		v.SetFloat(0.25)
	case reflect.Bool:
		v.SetBool(true)
	}
}

// TestRoundTrip writes and reads every shape of every operation with every
// member set, and with none.
func TestRoundTrip(t *testing.T) {
	ops := 0
	for _, svc := range services() {
		for _, op := range svc.Ops {
			ops++
			for _, fresh := range sides(op) {
				full := fresh()
				fill(reflect.ValueOf(full).Elem(), 0)
				for _, x := range []shape{full, fresh()} {
					want := toJSON(x)
					fromText, fromBytes := fresh(), fresh()
					if err := fromJSON(fromText, want); err != nil {
						t.Fatalf("%s: %v in %s", op.Action, err, want)
					}
					if err := fromCBOR(fromBytes, toCBOR(x)); err != nil {
						t.Fatalf("%s: %v", op.Action, err)
					}
					if got := toJSON(fromText); !bytes.Equal(got, want) {
						t.Errorf("%s in JSON:\n got %s\nwant %s", op.Action, got, want)
					}
					if got := toJSON(fromBytes); !bytes.Equal(got, want) {
						t.Errorf("%s in CBOR:\n got %s\nwant %s", op.Action, got, want)
					}
				}
			}
		}
	}
	if ops < 238 {
		t.Errorf("%d operations", ops)
	}
}

// TestRefusal has every operation of every service refuse with an error that its
// model has, and name itself.
func TestRefusal(t *testing.T) {
	for _, svc := range services() {
		for _, op := range svc.Ops {
			_, err := op.Invoke.Call(t.Context(), op.Invoke.NewInput())
			var e *awsapi.Error
			if !errors.As(err, &e) || svc.Errors[e.Code] == nil || e.Message != op.Name+" is not implemented by this server." {
				t.Errorf("%s: %v", op.Action, err)
			}
		}
	}
}

// TestValidate checks that every input can be validated, empty and full.
func TestValidate(t *testing.T) {
	for _, svc := range services() {
		for _, op := range svc.Ops {
			full := op.Invoke.NewInput()
			fill(reflect.ValueOf(full).Elem(), 0)
			for _, in := range []awsapi.Input{op.Invoke.NewInput(), full} {
				var c validate.Collector
				in.Validate(&c)
				_ = c.Message()
				if in.Resource(awsapi.Caller{Account: "1", Region: "r"}) == "" {
					t.Errorf("%s: no resource", op.Action)
				}
			}
		}
	}
}

// TestLongListIsNotStored checks that what a list holds is bounded by the model,
// however long the document's is.
func TestLongListIsNotStored(t *testing.T) {
	doc := append([]byte(`{"Records":[`), bytes.Repeat([]byte(`{},`), 100_000)...)
	doc = append(doc, `{}]}`...)
	var in kinesis.PutRecordsInput
	if err := fromJSON(&in, doc); err != nil {
		t.Fatal(err)
	}
	if len(in.Records) != 501 {
		t.Errorf("%d records kept", len(in.Records))
	}
	var c validate.Collector
	in.Validate(&c)
	if c.Message() == "" {
		t.Error("501 records are valid")
	}
}

// TestDecodeAllocations pins that reading PutRecords allocates for blocks of
// keys and the growing list, not for each record.
func TestDecodeAllocations(t *testing.T) {
	doc := toJSON(putRecords())
	work := make([]byte, len(doc))
	allocs := testing.AllocsPerRun(20, func() {
		copy(work, doc)
		var in kinesis.PutRecordsInput
		d := json.NewDecoder(work)
		in.Decode(d)
		if d.Finish() != nil || len(in.Records) != benchRecords {
			t.Error("not read")
		}
	})
	if allocs > 40 {
		t.Errorf("%g allocations for %d records", allocs, benchRecords)
	}
}
