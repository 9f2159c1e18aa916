package kinesis

import (
	"context"
	"slices"
	"strings"

	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/catalog"
	"thalweg/internal/delivery"
	"thalweg/internal/opt"
)

// listChannelsLimit is the most channels in one answer.
const listChannelsLimit = 100

// ListChannels
//
// Lists the channels of the account and region by name, at most 100 an answer
// (MaxResults): all, or those of the streams of StreamFilter, which may say their creation
// second too. NextToken goes on after the last; the filter has to be given again. A token
// lives 300 seconds.
//
// Errors: ExpiredNextToken; InvalidArgument for a token that is none of ours and for a
// filter's ARN that names no stream.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListChannels.html
//
// Status: done
func (d *Door) ListChannels(ctx context.Context, in *model.ListChannelsInput) (*model.ListChannelsOutput, error) {
	scope, after := scopeOf(awsapi.CallerFrom(ctx)), ""
	for _, f := range in.StreamFilter {
		if _, err := parseStreamARN(f.StreamARN.V); err != nil {
			return nil, err
		}
	}
	if in.NextToken.Set {
		var err error
		if after, err = d.streams.OpenChannelsToken(scope, in.NextToken.V); err != nil {
			return nil, pageError(err)
		}
	}
	all := d.channels.Channels(scope, delivery.KinesisSource)
	slices.SortFunc(all, func(a, b *catalog.Resource) int { return strings.Compare(a.Channel.Name, b.Channel.Name) })
	out := &model.ListChannelsOutput{ChannelSummaries: []model.ChannelSummary{}}
	for _, r := range all {
		x := channelShape(r)
		from := &x.StreamConfigurationList[0]
		if r.Channel.Name <= after || !wanted(from, in.StreamFilter) {
			continue
		}
		if n := len(out.ChannelSummaries); n == capped(in.MaxResults, listChannelsLimit) {
			out.NextToken = opt.Of(d.streams.ChannelsToken(scope, out.ChannelSummaries[n-1].ChannelName.V))
			break
		}
		out.ChannelSummaries = append(out.ChannelSummaries, model.ChannelSummary{
			ChannelName: x.ChannelName, ChannelARN: x.ChannelARN, ChannelId: x.ChannelId, ChannelStatus: x.ChannelStatus,
			ChannelCreationTimestamp: x.ChannelCreationTimestamp, ChannelDestinationType: opt.Of(model.ChannelDestinationTypeS3),
			Streams: []model.ChannelStreamIdentifier{{StreamARN: from.StreamARN, StreamCreationTimestamp: from.StreamCreationTimestamp}},
		})
	}
	return out, nil
}

// wanted tells whether a stream is one of a filter's; none are all.
func wanted(st *model.ChannelStreamDescription, filter []model.StreamFilter) bool {
	if len(filter) == 0 {
		return true
	}
	return slices.ContainsFunc(filter, func(f model.StreamFilter) bool {
		return f.StreamARN.V == st.StreamARN.V &&
			(!f.StreamCreationTimestamp.Set || f.StreamCreationTimestamp.V.Unix() == st.StreamCreationTimestamp.V.Unix())
	})
}
