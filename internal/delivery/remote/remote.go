// Package remote reads topics of Apache Kafka clusters that are not this server's.
//
// An operator says which clusters there are (see [Parse]): by what ARN delivery streams
// name them, where their brokers are, who logs in, and which accounts may read. Only
// what was committed is read. Batches are taken apart by package batch, unpacked within
// a bound; connections go through an egress policy.
//
// A set of Clusters is safe for concurrent use.
package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"thalweg/internal/delivery"
	"thalweg/internal/egress"
	"thalweg/internal/errs"
)

const (
	// byName is the last version of Fetch that names topics.
	byName = 12
	// patience bounds one question to a cluster.
	patience = 30 * time.Second
	// maxRead is the most that a broker may answer at once, fetchBytes what is asked
	// for; a batch that is larger comes alone.
	maxRead    = 128 << 20
	fetchBytes = 1 << 20
	// maxUnpacked is how large a batch may be when unpacked.
	maxUnpacked = 64 << 20
)

// Times that ListOffsets takes for places.
const (
	latest   = -1
	earliest = -2
)

// Clusters are the clusters that delivery streams may read.
type Clusters struct {
	byARN map[string]*cluster
}

type cluster struct {
	Cluster
	client *kgo.Client
}

// Open prepares the clients. Nothing is connected before something is read. Errors:
// Invalid for a cluster that is described wrongly.
func Open(all []Cluster, out *egress.Policy) (*Clusters, error) {
	c := &Clusters{byARN: map[string]*cluster{}}
	for _, one := range all {
		if c.byARN[one.ARN] != nil {
			c.Close()
			return nil, errs.New(errs.Invalid, "Kafka cluster "+one.ARN+" is described twice")
		}
		options, err := one.options(out)
		if err == nil {
			var client *kgo.Client
			client, err = kgo.NewClient(options...)
			c.byARN[one.ARN] = &cluster{one, client}
		}
		if err != nil {
			delete(c.byARN, one.ARN)
			c.Close()
			return nil, errs.Wrap(errs.Invalid, "Kafka cluster "+one.ARN, err)
		}
	}
	return c, nil
}

// Close ends all connections.
func (c *Clusters) Close() {
	for _, one := range c.byARN {
		one.client.Close()
	}
}

// options are a client's.
func (c *Cluster) options(out *egress.Policy) ([]kgo.Opt, error) {
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(int16(kmsg.Fetch), byName)
	options := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...), kgo.MaxVersions(versions), kgo.BrokerMaxReadBytes(maxRead), kgo.ClientID("thalweg"),
		kgo.DisableClientMetrics(), kgo.RetryTimeout(patience / 2),
	}
	dial := out.DialContext
	if c.TLS {
		settings := &tls.Config{RootCAs: c.Authorities, MinVersion: tls.VersionTLS12}
		dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			plain, err := out.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			own := settings.Clone()
			if own.ServerName, _, err = net.SplitHostPort(address); err != nil {
				return nil, errors.Join(err, plain.Close())
			}
			conn := tls.Client(plain, own)
			if err := conn.HandshakeContext(ctx); err != nil {
				return nil, errors.Join(err, plain.Close())
			}
			return conn, nil
		}
	}
	mechanism, err := c.Login.mechanism()
	if err != nil {
		return nil, err
	}
	if mechanism != nil {
		options = append(options, kgo.SASL(mechanism))
	}
	return append(options, kgo.Dialer(dial)), nil
}

// Has implements delivery.Remote.
func (c *Clusters) Has(account, arn string) bool {
	one := c.byARN[arn]
	return one != nil && slices.Contains(one.Accounts, account)
}

func (c *Clusters) cluster(arn string) (*cluster, error) {
	if one := c.byARN[arn]; one != nil {
		return one, nil
	}
	return nil, errs.New(errs.NotFound, "the Kafka cluster "+arn+" is not one of those that the server was started with")
}

// told makes an error of Kafka's, or of the way to it, one of ours.
func told(op string, err error) error {
	kind := errs.Throttled
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.UnknownTopicID), errors.Is(err, kerr.InvalidTopicException):
		kind = errs.NotFound
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.SaslAuthenticationFailed), errs.KindOf(err) == errs.Denied:
		kind = errs.Denied
	}
	return errs.Wrap(kind, op, err)
}

// leaders are the brokers that lead the partitions of a topic.
func (c *cluster) leaders(ctx context.Context, topic string) (map[int32]int32, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = false
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = &topic
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, c.client)
	if err != nil {
		return nil, err
	}
	if len(resp.Topics) != 1 {
		return nil, kerr.UnknownTopicOrPartition
	}
	if err := kerr.ErrorForCode(resp.Topics[0].ErrorCode); err != nil {
		return nil, err
	}
	out := map[int32]int32{}
	for _, p := range resp.Topics[0].Partitions {
		out[p.Partition] = p.Leader
	}
	return out, nil
}

// offsets asks for an offset of each partition: the first one with a time, or a place.
func (c *cluster) offsets(ctx context.Context, topic string, partitions map[int32]int32, at int64) (map[int32]int64, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID, req.IsolationLevel = -1, 1
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = topic
	for number := range partitions {
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp = number, at
		t.Partitions = append(t.Partitions, p)
	}
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, c.client) // the client asks each leader for its own
	if err != nil {
		return nil, err
	}
	out := map[int32]int64{}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return nil, err
			}
			out[p.Partition] = p.Offset
		}
	}
	if len(out) != len(partitions) {
		return nil, fmt.Errorf("offsets of %d partitions of %d", len(out), len(partitions))
	}
	return out, nil
}

// Bounds implements delivery.Remote.
func (c *Clusters) Bounds(ctx context.Context, arn, topic string) ([]delivery.Bounds, error) {
	one, err := c.cluster(arn)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	op := "ask for the topic " + topic
	leaders, err := one.leaders(ctx, topic)
	if err != nil {
		return nil, told(op, err)
	}
	first, err := one.offsets(ctx, topic, leaders, earliest)
	if err != nil {
		return nil, told(op, err)
	}
	stable, err := one.offsets(ctx, topic, leaders, latest)
	if err != nil {
		return nil, told(op, err)
	}
	var out []delivery.Bounds
	for number := range leaders {
		out = append(out, delivery.Bounds{Partition: number, Start: first[number], Stable: stable[number]})
	}
	slices.SortFunc(out, func(a, b delivery.Bounds) int { return int(a.Partition) - int(b.Partition) })
	return out, nil
}

// Offsets implements delivery.Remote.
func (c *Clusters) Offsets(ctx context.Context, arn, topic string, at int64) (map[int32]int64, error) {
	one, err := c.cluster(arn)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	op := "ask for the topic " + topic
	leaders, err := one.leaders(ctx, topic)
	if err != nil {
		return nil, told(op, err)
	}
	out, err := one.offsets(ctx, topic, leaders, max(at, latest))
	if err != nil {
		return nil, told(op, err)
	}
	ends := map[int32]int64{}
	for number, offset := range out {
		if offset < 0 { // nothing is so late
			if len(ends) == 0 {
				if ends, err = one.offsets(ctx, topic, leaders, latest); err != nil {
					return nil, told(op, err)
				}
			}
			out[number] = ends[number]
		}
	}
	return out, nil
}
