package msk

import (
	"fmt"
	"regexp"
	"strings"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/catalog"
	"thalweg/internal/delivery"
	"thalweg/internal/delivery/prefix"
	"thalweg/internal/opt"
)

const (
	// minFreshness, maxFreshness and defaultFreshness are how old records become before a
	// channel delivers them, in seconds (docs.aws.amazon.com/msk/latest/developerguide/msk-data-delivery-s3-concepts.html).
	minFreshness, maxFreshness, defaultFreshness = 300, 900, 600
	// maxTemplate is how long prefix and template of a channel are together.
	maxTemplate = 1024
	// channelTemplate is that of a channel that has none.
	channelTemplate = "!{channel-id}/!{topic-name}/year=!{yyyy}/month=!{MM}/day=!{dd}/hour=!{HH}/!{topic-name}+!{partition-id}+!{kafka-offset}"
)

var (
	channelName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,128}$`)
	bucketARN   = regexp.MustCompile(`^arn:aws[-a-z0-9]*:s3:::[a-z0-9._-]{3,63}$`)
	roleARN     = regexp.MustCompile(`^arn:[\w-]+:iam::[\w-]+:role.*$`)
	literal     = regexp.MustCompile(`^[a-zA-Z0-9/_\-.+=]*$`)
	inTemplate  = regexp.MustCompile(`!\{[^}]*\}`)
)

// channelKey is where the channel of a cluster is.
func channelKey(cluster *catalog.Resource, name string) catalog.Key {
	_, path, _ := strings.Cut(cluster.ARN, ":cluster/")
	return delivery.ChannelKey(catalog.Scope{Account: cluster.Account, Region: cluster.Region}, path+"/"+name)
}

// channel is the channel that an ARN names, of the cluster that another does.
func (d *Door) channel(clusterARN, channelARN opt.V[string]) (*catalog.Resource, error) {
	cluster, err := d.cluster(clusterARN)
	if err != nil {
		return nil, err
	}
	n, err := parseARN(channelARN.V, "channelArn", "channel")
	if err != nil {
		return nil, err
	}
	if n.scope.Account != cluster.Account || n.scope.Region != cluster.Region || !strings.HasPrefix(channelARN.V, arnOf(cluster, "channel")+"/") {
		return nil, model.NewNotFoundException("The cluster has no channel " + channelARN.V + ".")
	}
	r, err := d.channels.Channel(channelKey(cluster, n.rest), delivery.MSKSource)
	return r, wireError(err)
}

// channelShape is the description of a channel as it is now. One whose topic has been
// deleted is suspended for good.
func (d *Door) channelShape(r *catalog.Resource) *model.DescribeChannelOutput {
	x := keptChannel(r.Channel)
	x.ChannelArn, x.Status, x.CreationTime, x.Tags = opt.Of(r.ARN), opt.Of(model.ChannelStatus(r.State)), millis(r.Created), tagsOf(r)
	if r.State == catalog.Active && d.channels.ChannelStream(r) == nil {
		x.Status = opt.Of(model.ChannelStatusSuspended)
		x.StateInfo = &model.ChannelStateInfo{Code: opt.Of("TopicNotFound"), Message: opt.Of("The topic of the channel has been deleted.")}
	}
	return x
}

// keptChannel is what is kept of a channel's description.
func keptChannel(c *catalog.Channel) *model.DescribeChannelOutput {
	x := new(model.DescribeChannelOutput)
	unshape(c.Shape, x)
	return x
}

func checkFreshness(seconds int32) error {
	if seconds < minFreshness || seconds > maxFreshness {
		return invalid("dataFreshnessInSeconds", fmt.Sprintf("DataFreshnessInSeconds must be between %d and %d.", minFreshness, maxFreshness))
	}
	return nil
}

// template is that of a channel's keys, in which channel and topic are named. The rules are
// AWS's (docs.aws.amazon.com/msk/latest/developerguide/msk-data-delivery-s3-template-rules.html).
func template(storage *model.S3Storage, id, topic string) (string, error) {
	text := storage.OutputKeyTemplate.Or(channelTemplate)
	refuse := func(why string) (string, error) {
		return "", invalid("outputKeyTemplate", "The output key template "+why+".")
	}
	last := text[strings.LastIndexByte(text, '/')+1:]
	sequence, offset := strings.Contains(text, "!{sequence-number}"), strings.Contains(text, "!{kafka-offset}")
	outside := inTemplate.ReplaceAllString(text, "")
	switch whole := storage.OutputPrefix.V + text; {
	case len(whole) > maxTemplate:
		return refuse(fmt.Sprintf("and the output prefix have more than %d characters", maxTemplate))
	case strings.Contains(whole, "..") || strings.Contains(whole, "./") || strings.HasPrefix(whole, "/"):
		return refuse("and the output prefix must not contain .. or ./, nor start with /")
	case strings.HasSuffix(text, "/"):
		return refuse("must not end with /")
	case strings.Contains(outside, "!{"):
		return refuse("has a !{ without a }")
	case !literal.MatchString(outside) || !literal.MatchString(storage.OutputPrefix.V):
		return refuse("and the output prefix have letters, digits and /_-.+= only outside of variables")
	case sequence == offset:
		return refuse("must contain either !{sequence-number} or !{kafka-offset}, but not both")
	case offset && !strings.Contains(text, "!{partition-id}"):
		return refuse("must contain !{partition-id} when it contains !{kafka-offset}")
	case !strings.Contains(last, "!{sequence-number}") && !strings.Contains(last, "!{kafka-offset}"):
		return refuse("must have !{sequence-number} or !{kafka-offset} after its last /")
	}
	text = storage.OutputPrefix.V + strings.NewReplacer("!{channel-id}", id, "!{topic-name}", topic).Replace(text)
	t, err := prefix.CompileTemplate(text)
	if err != nil {
		return "", wireError(err)
	}
	if t.Has("extension") {
		return refuse("contains !{extension}, which is not a supported variable")
	}
	return text, nil
}
