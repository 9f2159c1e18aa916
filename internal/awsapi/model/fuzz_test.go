package model_test

import (
	"bytes"
	"reflect"
	"testing"

	"thalweg/internal/awsapi"
	"thalweg/internal/awsapi/validate"
)

// fuzzService reads documents as the operations' inputs and outputs. What can be
// read must come out the same whichever format it passes through.
func fuzzService(f *testing.F, svc *awsapi.Service) {
	for i, op := range svc.Ops {
		for side, fresh := range sides(op) {
			x := fresh()
			fill(reflect.ValueOf(x).Elem(), 0)
			f.Add(uint16(i), side == 1, false, toJSON(x))
			f.Add(uint16(i), side == 1, true, toCBOR(x))
		}
	}
	f.Fuzz(func(t *testing.T, index uint16, output, asCBOR bool, doc []byte) {
		op := svc.Ops[int(index)%len(svc.Ops)]
		fresh := sides(op)[0]
		if output {
			fresh = sides(op)[1]
		}
		read, write, readOther, writeOther := fromJSON, toJSON, fromCBOR, toCBOR
		if asCBOR {
			read, write, readOther, writeOther = fromCBOR, toCBOR, fromJSON, toJSON
		}
		x, same, other := fresh(), fresh(), fresh()
		if read(x, doc) != nil {
			return
		}
		if in, ok := x.(awsapi.Input); ok {
			var c validate.Collector
			in.Validate(&c)
			if len(c.Message()) > 64<<10 {
				t.Errorf("%s: %d bytes of violations", op.Action, len(c.Message()))
			}
		}
		want := write(x)
		if err := read(same, want); err != nil {
			t.Fatalf("%s: %v in what was written: %q", op.Action, err, want)
		}
		if got := write(same); !bytes.Equal(got, want) {
			t.Fatalf("%s: written again as %q, not %q", op.Action, got, want)
		}
		if err := readOther(other, writeOther(x)); err != nil {
			t.Fatalf("%s: %v in the other format", op.Action, err)
		}
		if got := write(other); !bytes.Equal(got, want) {
			t.Fatalf("%s: through the other format %q, not %q", op.Action, got, want)
		}
	})
}

func FuzzDecodeKinesis(f *testing.F)                   { fuzzService(f, services()[0]) }
func FuzzDecodeFirehose(f *testing.F)                  { fuzzService(f, services()[1]) }
func FuzzDecodeKinesisVideo(f *testing.F)              { fuzzService(f, services()[2]) }
func FuzzDecodeKinesisVideoMedia(f *testing.F)         { fuzzService(f, services()[3]) }
func FuzzDecodeKinesisVideoArchivedMedia(f *testing.F) { fuzzService(f, services()[4]) }
func FuzzDecodeKinesisVideoSignaling(f *testing.F)     { fuzzService(f, services()[5]) }
func FuzzDecodeKinesisVideoWebRTC(f *testing.F)        { fuzzService(f, services()[6]) }
func FuzzDecodeKinesisAnalytics(f *testing.F)          { fuzzService(f, services()[7]) }
func FuzzDecodeKafka(f *testing.F)                     { fuzzService(f, services()[8]) }
func FuzzDecodeKafkaConnect(f *testing.F)              { fuzzService(f, services()[9]) }
