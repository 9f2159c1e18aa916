package kinesis

import (
	"fmt"
	"strings"

	"thalweg/internal/arn"
	"thalweg/internal/awsapi/codec/json"
	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/catalog"
	"thalweg/internal/delivery"
	"thalweg/internal/opt"
)

const (
	// minFreshness and maxFreshness bound how old records become before a channel delivers
	// them, in seconds (docs.aws.amazon.com/streams/latest/dev/data-delivery-concepts.html).
	minFreshness, maxFreshness = 300, 900
	// channelTemplate is that of a channel that has none (docs.aws.amazon.com/streams/latest/dev/data-delivery-s3-key-template.html).
	channelTemplate = "kinesis-channel/!{channel-name}/!{channel-id}/!{yyyy}/!{MM}/!{dd}/!{HH}/" +
		"!{channel-name}-!{channel-id}-!{yyyy}-!{MM}-!{dd}-!{HH}-!{mm}!{extension}"
)

// parseChannelARN reads the ARN of a channel; ok is false for any other text.
func parseChannelARN(text string) (key catalog.Key, ok bool) {
	p, isARN := arn.Parse(text)
	id, isChannel := strings.CutPrefix(p.Resource, "channel/")
	if !isARN || p.Service != "kinesis" || !isChannel || id == "" || len(id) > 64 {
		return catalog.Key{}, false
	}
	return delivery.ChannelKey(catalog.Scope{Account: p.Account, Region: p.Region}, id), true
}

// channel is the channel that an ARN names.
func (d *Door) channel(v opt.V[string]) (*catalog.Resource, error) {
	key, ok := parseChannelARN(v.V)
	if !ok {
		return nil, model.NewInvalidArgumentException("Invalid ARN: " + v.V)
	}
	r, err := d.channels.Channel(key, delivery.KinesisSource)
	return r, wireError(err)
}

// channelShape is the description of a channel as it is now.
func channelShape(r *catalog.Resource) *model.ChannelDescription {
	x := keptShape(r.Channel)
	x.ChannelARN, x.ChannelStatus, x.ChannelCreationTimestamp = opt.Of(r.ARN), opt.Of(model.ChannelStatus(r.State)), millis(r.Created)
	return x
}

// keptShape is what is kept of a channel's description.
func keptShape(c *catalog.Channel) *model.ChannelDescription {
	x := new(model.ChannelDescription)
	x.Decode(json.NewDecoder(c.Shape))
	return x
}

func keep(x *model.ChannelDescription) []byte {
	e := json.NewEncoder(nil)
	x.Encode(e)
	return e.Bytes()
}

func checkFreshness(seconds int32) error {
	if seconds < minFreshness || seconds > maxFreshness {
		return model.NewInvalidArgumentException(fmt.Sprintf("DataFreshnessInSeconds must be between %d and %d.", minFreshness, maxFreshness))
	}
	return nil
}

// logging are the settings of a channel's log, with what is not said.
func logging(c *model.CloudWatchLogs, name, id string) *model.ChannelLoggingConfiguration {
	out := model.CloudWatchLogs{Enabled: opt.Of(false)}
	if c != nil {
		out = *c
	}
	out.LogGroupName = opt.Of(out.LogGroupName.Or("/aws/kinesis/" + name + "/" + id))
	out.LogStreamName = opt.Of(out.LogStreamName.Or("DestinationDelivery"))
	return &model.ChannelLoggingConfiguration{CloudWatchLogs: &out}
}
