package catalog

import (
	"encoding/json"
	"maps"
	"slices"
)

// Cluster is what a Kafka cluster keeps.
type Cluster struct {
	// Number names its own partitions in the log; it is of the count of stream
	// numbers. 0 is the default cluster's.
	Number uint64 `json:"number,omitempty"`
	// UUID is its identity, in hexadecimal digits and hyphens.
	UUID string `json:"uuid"`
	// Revision counts what was asked of it through its API, from 1.
	Revision int `json:"revision"`
	// Serverless has no brokers that anybody counts.
	Serverless bool `json:"serverless,omitempty"`
	Brokers    int  `json:"brokers"`
	// KafkaVersion is what was asked for.
	KafkaVersion string `json:"kafka_version,omitempty"`
	// Listeners are where it listens; the default cluster's are the server's to say.
	Listeners []ClusterListener `json:"listeners,omitempty"`
	// Configuration is the ARN of the configuration that it has, "" for none, and
	// ConfigurationRevision which of its revisions. Settings are what that says.
	Configuration         string            `json:"configuration,omitempty"`
	ConfigurationRevision int64             `json:"configuration_revision,omitempty"`
	Settings              map[string]string `json:"settings,omitempty"`
	// Shape is what else its API was told of it, in that API's form.
	Shape json.RawMessage `json:"shape,omitempty"`
	// Secrets are those that users were made of.
	Secrets []ClusterSecret `json:"secrets,omitempty"`
	// Operations are what was done to it last, the newest at the end.
	Operations []ClusterOperation `json:"operations,omitempty"`
}

// ClusterListener is how clients of one kind reach a cluster.
type ClusterListener struct {
	Kind string `json:"kind"`
	// Ports are those of the brokers in order; 0 is one that is yet to be found.
	Ports []int `json:"ports"`
}

// ClusterSecret is a secret, and the user that it is of.
type ClusterSecret struct {
	ARN  string `json:"arn"`
	User string `json:"user"`
}

// ClusterOperation is one change that was asked for.
type ClusterOperation struct {
	ID   string `json:"id"`
	Type string `json:"type"`
	// Started and Ended are in Unix milliseconds; Ended is 0 while it goes on.
	Started int64  `json:"started"`
	Ended   int64  `json:"ended,omitempty"`
	Error   string `json:"error,omitempty"`
	// Brokers are those that it is about, nil for all.
	Brokers []int32 `json:"brokers,omitempty"`
	// Source and Target are the cluster before and after, in its API's form.
	Source json.RawMessage `json:"source,omitempty"`
	Target json.RawMessage `json:"target,omitempty"`
}

func (c *Cluster) clone() *Cluster {
	d := *c
	d.Listeners = slices.Clone(c.Listeners)
	for i := range d.Listeners {
		d.Listeners[i].Ports = slices.Clone(d.Listeners[i].Ports)
	}
	d.Settings = maps.Clone(c.Settings)
	d.Secrets, d.Operations = slices.Clone(c.Secrets), slices.Clone(c.Operations)
	return &d
}

// Configuration is what a configuration of Kafka clusters keeps.
type Configuration struct {
	UUID          string   `json:"uuid"`
	Description   string   `json:"description,omitempty"`
	KafkaVersions []string `json:"kafka_versions,omitempty"`
	// Revisions are by rising number, from 1.
	Revisions []ConfigurationRevision `json:"revisions"`
}

// ConfigurationRevision is one state of a configuration. It is never changed.
type ConfigurationRevision struct {
	Created     int64  `json:"created"` // Unix milliseconds
	Description string `json:"description,omitempty"`
	// Properties is the text of server.properties.
	Properties string `json:"properties"`
}

func (c *Configuration) clone() *Configuration {
	d := *c
	d.KafkaVersions, d.Revisions = slices.Clone(c.KafkaVersions), slices.Clone(c.Revisions)
	return &d
}
