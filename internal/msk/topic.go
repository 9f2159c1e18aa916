package msk

import (
	"encoding/base64"
	"strings"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/brokers"
	"thalweg/internal/catalog"
	"thalweg/internal/opt"
)

// topics returns a cluster with what has its topics.
func (d *Door) topics(arn opt.V[string]) (*catalog.Resource, *brokers.Cluster, error) {
	r, err := d.cluster(arn)
	if err != nil {
		return nil, nil, err
	}
	c, err := d.clusters.Brokers(r)
	return r, c, wireError(err)
}

// topic returns a cluster's topic of that name too.
func (d *Door) topic(arn, name opt.V[string]) (*catalog.Resource, *brokers.Cluster, *brokers.Topic, error) {
	r, c, err := d.topics(arn)
	if err != nil {
		return nil, nil, nil, err
	}
	t := c.Topic(name.V)
	if t == nil {
		return nil, nil, nil, model.NewUnknownTopicOrPartitionException("The topic " + name.V + " does not exist.")
	}
	return r, c, t, nil
}

func topicARN(r *catalog.Resource, name string) opt.V[string] {
	return opt.Of(arnOf(r, "topic") + "/" + name)
}

// topicError is a refusal of the brokers as the API tells it.
func topicError(e *brokers.Error) error {
	switch e.Code {
	case brokers.TopicAlreadyExists:
		return model.NewTopicExistsException(e.Msg)
	case brokers.UnknownTopic:
		return model.NewUnknownTopicOrPartitionException(e.Msg)
	case brokers.StorageError, brokers.NotEnoughReplicas:
		if e.Err != nil {
			return wireError(e.Err)
		}
	}
	return model.NewBadRequestException(e.Msg)
}

// parseConfigs reads the entries of a topic: lines of NAME=VALUE, in base64.
func parseConfigs(text opt.V[string]) (map[string]string, error) {
	raw, err := base64.StdEncoding.DecodeString(text.V)
	if err != nil {
		return nil, invalid("configs", "The configs are not valid base64.")
	}
	out := map[string]string{}
	for l := range strings.Lines(string(raw)) {
		if l = strings.TrimSpace(l); l == "" {
			continue
		}
		name, value, ok := strings.Cut(l, "=")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, invalid("configs", "The configs are not lines of NAME=VALUE.")
		}
		out[name] = strings.TrimSpace(value)
	}
	return out, nil
}

// configsOf are a topic's own entries, as parseConfigs reads them.
func configsOf(t *brokers.Topic) opt.V[string] {
	text := ""
	for _, k := range brokers.TopicConfigs() {
		if v, own := t.OwnConfig(k.Name); own {
			text += k.Name + "=" + v + "\n"
		}
	}
	return opt.Of(base64.StdEncoding.EncodeToString([]byte(text)))
}
