package firehose

import (
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/aws/smithy-go"
)

// provider makes the calls of Terraform's AWS provider for one delivery stream, whose
// name is its kind.
type provider struct {
	t *testing.T
	*firehose.Client
	name    string
	version string // as it was read
}

// read describes the stream and lists its tags, as a refresh does, and wants what was said.
func (p *provider) read(said *firehose.CreateDeliveryStreamInput, encrypted types.DeliveryStreamEncryptionStatus) {
	p.t.Helper()
	out, err := p.DescribeDeliveryStream(p.t.Context(), &firehose.DescribeDeliveryStreamInput{DeliveryStreamName: &p.name})
	if err != nil {
		p.t.Fatal(err)
	}
	d := out.DeliveryStreamDescription
	to := d.Destinations[0]
	if d.DeliveryStreamStatus != types.DeliveryStreamStatusActive || *to.DestinationId != "destinationId-000000000001" ||
		d.DeliveryStreamEncryptionConfiguration.Status != encrypted {
		p.t.Errorf("described as %s, %s, encryption %s", d.DeliveryStreamStatus, *to.DestinationId, d.DeliveryStreamEncryptionConfiguration.Status)
	}
	p.version = *d.VersionId
	same(p.t, p.name, tree(p.t, said)[p.name+"DestinationConfiguration"], tree(p.t, to)[p.name+"DestinationDescription"])
	if text, _ := json.Marshal(out); strings.Contains(string(text), "secret") || strings.Contains(string(text), "Password1") {
		p.t.Errorf("a secret is described: %s", text)
	}
	tags, err := p.ListTagsForDeliveryStream(p.t.Context(), &firehose.ListTagsForDeliveryStreamInput{DeliveryStreamName: &p.name})
	if err != nil {
		p.t.Fatal(err)
	}
	if want, got := byKey(said.Tags), byKey(tags.Tags); !maps.Equal(want, got) {
		p.t.Errorf("tags %v became %v", want, got)
	}
}

func byKey(tags []types.Tag) map[string]string {
	out := map[string]string{}
	for _, t := range tags {
		out[*t.Key] = *t.Value
	}
	return out
}

// create makes the stream and encrypts it.
func (p *provider) create(in *firehose.CreateDeliveryStreamInput) {
	p.t.Helper()
	if _, err := p.CreateDeliveryStream(p.t.Context(), in); err != nil {
		p.t.Fatal(err)
	}
	p.read(in, types.DeliveryStreamEncryptionStatusDisabled)
	if p.version != "1" {
		p.t.Errorf("version %s", p.version)
	}
	_, err := p.StartDeliveryStreamEncryption(p.t.Context(), &firehose.StartDeliveryStreamEncryptionInput{DeliveryStreamName: &p.name,
		DeliveryStreamEncryptionConfigurationInput: &types.DeliveryStreamEncryptionConfigurationInput{KeyType: types.KeyTypeAwsOwnedCmk}})
	if err != nil {
		p.t.Fatal(err)
	}
	p.read(in, types.DeliveryStreamEncryptionStatusEnabled)
}

// update changes the buffer, ends the encryption and replaces a tag.
func (p *provider) update(in *firehose.CreateDeliveryStreamInput) {
	p.t.Helper()
	before := p.version
	config := tree(p.t, in)[p.name+"DestinationConfiguration"].(map[string]any)
	hints, ok := config["BufferingHints"].(map[string]any)
	if !ok {
		hints = config["S3Configuration"].(map[string]any)["BufferingHints"].(map[string]any)
	}
	hints["IntervalInSeconds"] = 50
	into(p.t, map[string]any{p.name + "DestinationConfiguration": config}, in)
	for _, name := range []string{"S3", "S3Backup"} { // an update calls them by other names
		if v := config[name+"Configuration"]; v != nil {
			config[name+"Update"] = v
			delete(config, name+"Configuration")
		}
	}
	change := &firehose.UpdateDestinationInput{DeliveryStreamName: &p.name, CurrentDeliveryStreamVersionId: &before,
		DestinationId: aws.String("destinationId-000000000001")}
	into(p.t, map[string]any{p.name + "DestinationUpdate": config}, change)
	if _, err := p.UpdateDestination(p.t.Context(), change); err != nil {
		p.t.Fatal(err)
	}
	var conflict *types.ConcurrentModificationException
	if _, err := p.UpdateDestination(p.t.Context(), change); !errors.As(err, &conflict) {
		p.t.Errorf("an update of version %s again: %v", before, err)
	}
	if _, err := p.StopDeliveryStreamEncryption(p.t.Context(), &firehose.StopDeliveryStreamEncryptionInput{DeliveryStreamName: &p.name}); err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.UntagDeliveryStream(p.t.Context(), &firehose.UntagDeliveryStreamInput{DeliveryStreamName: &p.name, TagKeys: []string{"Gone"}}); err != nil {
		p.t.Fatal(err)
	}
	in.Tags[1].Key = aws.String("Come")
	if _, err := p.TagDeliveryStream(p.t.Context(), &firehose.TagDeliveryStreamInput{DeliveryStreamName: &p.name, Tags: in.Tags[1:]}); err != nil {
		p.t.Fatal(err)
	}
	p.read(in, types.DeliveryStreamEncryptionStatusDisabled)
	if p.version == before {
		p.t.Errorf("still version %s", p.version)
	}
}

// into sets the members of a shape of the SDK that a tree names.
func into(t *testing.T, from map[string]any, shape any) {
	t.Helper()
	text, err := json.Marshal(from)
	if err == nil {
		err = json.Unmarshal(text, shape)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// remove deletes the stream and waits until it is gone.
func (p *provider) remove() {
	p.t.Helper()
	if _, err := p.DeleteDeliveryStream(p.t.Context(), &firehose.DeleteDeliveryStreamInput{DeliveryStreamName: &p.name}); err != nil {
		p.t.Fatal(err)
	}
	for {
		out, err := p.DescribeDeliveryStream(p.t.Context(), &firehose.DescribeDeliveryStreamInput{DeliveryStreamName: &p.name})
		var gone *types.ResourceNotFoundException
		if errors.As(err, &gone) {
			return
		}
		if err != nil || out.DeliveryStreamDescription.DeliveryStreamStatus != types.DeliveryStreamStatusDeleting {
			p.t.Fatalf("described as %+v, %v", out, err)
		}
		if err := pause(p.t.Context()); err != nil {
			p.t.Fatal(err)
		}
	}
}

// refused has somebody else try every call that names the stream.
func (p *provider) refused(as *firehose.Client, code string) {
	p.t.Helper()
	ctx, name := p.t.Context(), &p.name
	for call, do := range map[string]func() error{
		"describe": func() error {
			_, err := as.DescribeDeliveryStream(ctx, &firehose.DescribeDeliveryStreamInput{DeliveryStreamName: name})
			return err
		},
		"put": func() error {
			_, err := as.PutRecord(ctx, &firehose.PutRecordInput{DeliveryStreamName: name, Record: &types.Record{Data: []byte("x")}})
			return err
		},
		"put many": func() error {
			_, err := as.PutRecordBatch(ctx, &firehose.PutRecordBatchInput{DeliveryStreamName: name, Records: []types.Record{{Data: []byte("x")}}})
			return err
		},
		"update": func() error {
			_, err := as.UpdateDestination(ctx, &firehose.UpdateDestinationInput{DeliveryStreamName: name, CurrentDeliveryStreamVersionId: aws.String("1"),
				DestinationId: aws.String("destinationId-000000000001"), ExtendedS3DestinationUpdate: &types.ExtendedS3DestinationUpdate{Prefix: aws.String("x/")}})
			return err
		},
		"encrypt": func() error {
			_, err := as.StartDeliveryStreamEncryption(ctx, &firehose.StartDeliveryStreamEncryptionInput{DeliveryStreamName: name})
			return err
		},
		"decrypt": func() error {
			_, err := as.StopDeliveryStreamEncryption(ctx, &firehose.StopDeliveryStreamEncryptionInput{DeliveryStreamName: name})
			return err
		},
		"tag": func() error {
			_, err := as.TagDeliveryStream(ctx, &firehose.TagDeliveryStreamInput{DeliveryStreamName: name, Tags: []types.Tag{{Key: aws.String("k")}}})
			return err
		},
		"untag": func() error {
			_, err := as.UntagDeliveryStream(ctx, &firehose.UntagDeliveryStreamInput{DeliveryStreamName: name, TagKeys: []string{"Name"}})
			return err
		},
		"list tags": func() error {
			_, err := as.ListTagsForDeliveryStream(ctx, &firehose.ListTagsForDeliveryStreamInput{DeliveryStreamName: name})
			return err
		},
		"delete": func() error {
			_, err := as.DeleteDeliveryStream(ctx, &firehose.DeleteDeliveryStreamInput{DeliveryStreamName: name})
			return err
		},
	} {
		var answer smithy.APIError
		if err := do(); !errors.As(err, &answer) || answer.ErrorCode() != code {
			p.t.Errorf("%s: %v, want %s", call, err, code)
		}
	}
}
