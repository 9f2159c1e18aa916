package catalog

import (
	"encoding/json"
	"slices"

	"thalweg/internal/log"
)

// Delivery is what a delivery stream or a channel keeps beside what it has delivered.
type Delivery struct {
	// Number is that of its own partitions. Stream numbers and these are of one
	// sequence.
	Number uint64 `json:"number"`
	// Type is DirectPut, KinesisStreamAsSource or MSKAsSource.
	Type   string          `json:"type"`
	Source *DeliverySource `json:"source,omitempty"`
	// ThroughputHintMiB is what a creator of a DirectPut stream said of it.
	ThroughputHintMiB int `json:"throughput_hint_mib,omitempty"`
	// Destination is the configuration now, Earlier are those that batches are
	// planned under that are not delivered yet.
	Destination DeliveryDestination   `json:"destination"`
	Earlier     []DeliveryDestination `json:"earlier,omitempty"`
	// Updated is when the destination was changed last, Unix milliseconds; 0 never.
	Updated int64 `json:"updated,omitempty"`
	// KeyType is AWS_OWNED_CMK or CUSTOMER_MANAGED_CMK while what is put is stored
	// encrypted, "" while it is not; KeyARN is the customer's key as it was named,
	// DataKey the number of the keystore's.
	KeyType string `json:"key_type,omitempty"`
	KeyARN  string `json:"key_arn,omitempty"`
	DataKey uint32 `json:"data_key,omitempty"`
	// KeyChanges are when encryption was started and stopped in the last 24 hours.
	KeyChanges []int64 `json:"key_changes,omitempty"`
}

// DeliveryDestination is one version of a destination's configuration.
type DeliveryDestination struct {
	// Version is the VersionId.
	Version uint64 `json:"version"`
	// Kind is the stem of the model's names: ExtendedS3, HttpEndpoint, ...
	Kind   string          `json:"kind"`
	Config json.RawMessage `json:"config"`
}

// Channel is what a channel keeps beside its delivery.
type Channel struct {
	// ID is the channel's for ever. Name is its account's once in a region, or its
	// cluster's once.
	ID   string `json:"id"`
	Name string `json:"name"`
	// Shape is what was said of it, as its door describes it.
	Shape json.RawMessage `json:"shape"`
}

// DeliverySource is the stream or topic that a delivery stream reads.
type DeliverySource struct {
	// ARN is the source's as it was named, RoleARN the role named with it.
	ARN     string `json:"arn"`
	RoleARN string `json:"role_arn,omitempty"`
	// Topic, Connectivity and ReadFrom (Unix milliseconds; -1 when not said) are a
	// cluster's.
	Topic        string `json:"topic,omitempty"`
	Connectivity string `json:"connectivity,omitempty"`
	ReadFrom     int64  `json:"read_from,omitempty"`
	// Remote tells that the cluster is not this server's.
	Remote bool `json:"remote,omitempty"`
	// Stream is the source's number, 0 if it is Remote. Starts are where delivery begins in the shards
	// that there were at Started (Unix milliseconds); in later ones it begins with
	// the first record.
	Stream  uint64       `json:"stream"`
	Starts  []QueueStart `json:"starts"`
	Started int64        `json:"started"`
}

// Partition is one of the delivery stream's own: 0 has the records put to it, 1 its
// ledger.
func (d *Delivery) Partition(index uint32) log.PartitionID {
	return log.PartitionID{Stream: d.Number, Index: index}
}

// Version returns the destination of that version, nil if it is not kept.
func (d *Delivery) Version(version uint64) *DeliveryDestination {
	if d.Destination.Version == version {
		return &d.Destination
	}
	for i := range d.Earlier {
		if d.Earlier[i].Version == version {
			return &d.Earlier[i]
		}
	}
	return nil
}

func (d *Delivery) clone() *Delivery {
	c := *d
	c.Earlier = slices.Clone(d.Earlier)
	c.KeyChanges = slices.Clone(d.KeyChanges)
	if d.Source != nil {
		s := *d.Source
		s.Starts = slices.Clone(s.Starts)
		c.Source = &s
	}
	return &c
}
