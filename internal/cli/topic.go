package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/config"
)

// cluster is the Kafka cluster that a command talks to.
type cluster struct {
	env       Env
	bootstrap string
	out       format
}

const defaultBootstrap = "127.0.0.1:9092"

func (e Env) topicCmd() *cobra.Command {
	t := &cluster{env: e}
	c := group("topic", "Make, fill, read and remove Kafka topics",
		"  thalweg topic create arena --partitions 4\n  thalweg topic tail arena",
		t.topicLs(), t.topicCreate(), t.topicDescribe(), t.topicPut(), t.topicTail(), t.topicDelete(), t.topicGroups())
	c.PersistentFlags().StringVar(&t.bootstrap, "bootstrap", "", "a broker's `HOST:PORT` (THALWEG_BOOTSTRAP; else "+defaultBootstrap+")")
	addOutputTo(c.PersistentFlags(), &t.out)
	return c
}

// dial returns a client of the cluster.
func (t *cluster) dial(opts ...kgo.Opt) (*kgo.Client, error) {
	t.bootstrap = cmp.Or(t.bootstrap, t.env.get("THALWEG_BOOTSTRAP"), defaultBootstrap)
	seeds := strings.Split(t.bootstrap, ",")
	for _, s := range seeds {
		if _, _, err := net.SplitHostPort(s); err != nil {
			return nil, usagef("write HOST:PORT", "%q is not the address of a broker", s)
		}
	}
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(seeds...), kgo.ClientID("thalweg"), kgo.RetryTimeout(10 * time.Second),
		kgo.DialTimeout(5 * time.Second)}, opts...)...)
}

// run wraps a command's work: it makes the client and explains errors.
func (t *cluster) run(fn func(ctx context.Context, cl *kgo.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		cl, err := t.dial()
		if err != nil {
			return err
		}
		defer cl.Close()
		return t.explain(cmd.Context(), cl, fn(cmd.Context(), cl, args), args)
	}
}

// kafkaError is a refusal of the cluster.
type kafkaError struct {
	code int16
	msg  string
}

func (e *kafkaError) Error() string { return e.msg }

// refused makes an error of a code and a message, nil of code 0.
func refused(code int16, msg *string) error {
	if code == 0 {
		return nil
	}
	e := &kafkaError{code: code, msg: "error code " + strconv.Itoa(int(code)) + " of Kafka's protocol"}
	if msg != nil && *msg != "" {
		e.msg = *msg
	}
	return e
}

// unknownTopicCode is UNKNOWN_TOPIC_OR_PARTITION.
const unknownTopicCode = 3

// explain adds the way out to an error: who answers, and the topic that is meant.
func (t *cluster) explain(ctx context.Context, cl *kgo.Client, err error, args []string) error {
	var op *net.OpError
	var code *kafkaError
	switch {
	case errors.As(err, &op) && op.Op == "dial":
		return &failure{msg: "nobody answers at " + t.bootstrap, err: op.Err,
			hint: "start a server with " + t.env.program() + " serve, or name one with --bootstrap"}
	case errors.As(err, &code) && code.code == unknownTopicCode && len(args) > 0:
		f := &failure{msg: "there is no topic " + args[0] + " at " + t.bootstrap, hint: "make it with: " + t.env.program() + " topic create " + args[0]}
		if all, err := topics(ctx, cl); err == nil {
			var names []string
			for _, m := range all {
				names = append(names, *m.Topic)
			}
			if near := config.Nearest(args[0], names); near != "" {
				f.hint = "did you mean " + near + "?"
			}
		}
		return f
	}
	return err
}

// topics describes the topics named, or all.
func topics(ctx context.Context, cl *kgo.Client, names ...string) ([]kmsg.MetadataResponseTopic, error) {
	req := kmsg.NewPtrMetadataRequest()
	for _, n := range names {
		rt := kmsg.NewMetadataRequestTopic()
		rt.Topic = &n
		req.Topics = append(req.Topics, rt)
	}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil, err
	}
	for i := range resp.Topics {
		if err := refused(resp.Topics[i].ErrorCode, nil); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(resp.Topics, func(a, b kmsg.MetadataResponseTopic) int { return strings.Compare(*a.Topic, *b.Topic) })
	return resp.Topics, nil
}

type topicRow struct {
	Name       string `json:"name"`
	Partitions int    `json:"partitions"`
	Replicas   int    `json:"replicas"`
	Internal   bool   `json:"internal"`
}

func rowOf(m *kmsg.MetadataResponseTopic) topicRow {
	r := topicRow{Name: *m.Topic, Partitions: len(m.Partitions), Internal: m.IsInternal}
	if len(m.Partitions) > 0 {
		r.Replicas = len(m.Partitions[0].Replicas)
	}
	return r
}

func (t *cluster) topicLs() *cobra.Command {
	return &cobra.Command{Use: "ls", Short: "List topics", Example: "  thalweg topic ls -o json", Args: exactly(),
		RunE: t.run(func(ctx context.Context, cl *kgo.Client, _ []string) error {
			list, err := topics(ctx, cl)
			if err != nil {
				return err
			}
			rows := []topicRow{}
			for i := range list {
				rows = append(rows, rowOf(&list[i]))
			}
			return t.env.print(t.out, rows, func(w *tabwriter.Writer) {
				row(w, "NAME", "PARTITIONS", "REPLICAS")
				for _, r := range rows {
					row(w, r.Name, r.Partitions, r.Replicas)
				}
			})
		})}
}

func (t *cluster) topicCreate() *cobra.Command {
	var partitions int32
	var replicas int16
	var configs []string
	c := &cobra.Command{Use: "create NAME", Short: "Make a topic",
		Example: "  thalweg topic create arena --partitions 4 --config retention.ms=3600000", Args: exactly("a NAME")}
	c.Flags().Int32Var(&partitions, "partitions", 1, "number of partitions")
	c.Flags().Int16Var(&replicas, "replicas", 1, "replication factor, up to the number of brokers")
	c.Flags().StringArrayVar(&configs, "config", nil, "`NAME=VALUE` of the topic's configuration, any number of times")
	c.RunE = t.run(func(ctx context.Context, cl *kgo.Client, args []string) error {
		req := kmsg.NewPtrCreateTopicsRequest()
		rt := kmsg.NewCreateTopicsRequestTopic()
		rt.Topic, rt.NumPartitions, rt.ReplicationFactor = args[0], partitions, replicas
		for _, kv := range configs {
			name, value, ok := strings.Cut(kv, "=")
			if !ok {
				return usagef("write --config retention.ms=3600000", "--config %q is not NAME=VALUE", kv)
			}
			rc := kmsg.NewCreateTopicsRequestTopicConfig()
			rc.Name, rc.Value = name, &value
			rt.Configs = append(rt.Configs, rc)
		}
		req.Topics, req.TimeoutMillis = append(req.Topics, rt), 10_000
		resp, err := req.RequestWith(ctx, cl)
		if err != nil {
			return err
		}
		if err := refused(resp.Topics[0].ErrorCode, resp.Topics[0].ErrorMessage); err != nil {
			return err
		}
		r := topicRow{Name: args[0], Partitions: int(partitions), Replicas: int(replicas)}
		return t.env.print(t.out, r, func(w *tabwriter.Writer) {
			row(w, "made topic "+r.Name+" with "+plural(r.Partitions, "partition"))
		})
	})
	return c
}

func (t *cluster) topicDelete() *cobra.Command {
	return &cobra.Command{Use: "delete NAME", Short: "Remove a topic and its records", Example: "  thalweg topic delete arena", Args: exactly("a NAME"),
		RunE: t.run(func(ctx context.Context, cl *kgo.Client, args []string) error {
			req := kmsg.NewPtrDeleteTopicsRequest()
			rt := kmsg.NewDeleteTopicsRequestTopic()
			rt.Topic = &args[0]
			req.Topics, req.TopicNames, req.TimeoutMillis = append(req.Topics, rt), args, 10_000
			resp, err := req.RequestWith(ctx, cl)
			if err != nil {
				return err
			}
			if err := refused(resp.Topics[0].ErrorCode, resp.Topics[0].ErrorMessage); err != nil {
				return err
			}
			return t.env.print(t.out, map[string]string{"deleted": args[0]}, func(w *tabwriter.Writer) { row(w, "removed topic "+args[0]) })
		})}
}

// offsets finds an offset of each partition of a topic: -1 the next, -2 the first.
func offsets(ctx context.Context, cl *kgo.Client, topic string, partitions int, at int64) (map[int32]int64, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	rt := kmsg.NewListOffsetsRequestTopic()
	rt.Topic = topic
	for p := range int32(partitions) {
		rp := kmsg.NewListOffsetsRequestTopicPartition()
		rp.Partition, rp.Timestamp = p, at
		rt.Partitions = append(rt.Partitions, rp)
	}
	req.Topics = append(req.Topics, rt)
	out := map[int32]int64{}
	for _, shard := range cl.RequestSharded(ctx, req) {
		if shard.Err != nil {
			return nil, shard.Err
		}
		resp, ok := shard.Resp.(*kmsg.ListOffsetsResponse)
		if !ok {
			return nil, fmt.Errorf("unexpected answer %T", shard.Resp)
		}
		for _, rt := range resp.Topics {
			for _, p := range rt.Partitions {
				if err := refused(p.ErrorCode, nil); err != nil {
					return nil, err
				}
				out[p.Partition] = p.Offset
			}
		}
	}
	return out, nil
}

type partitionRow struct {
	Partition int32 `json:"partition"`
	Leader    int32 `json:"leader"`
	First     int64 `json:"first_offset"`
	Next      int64 `json:"next_offset"`
}

type topicDetail struct {
	topicRow
	ID         string            `json:"id"`
	Configs    map[string]string `json:"configs"`
	PartitionL []partitionRow    `json:"partition_list"`
}

func (t *cluster) topicDescribe() *cobra.Command {
	return &cobra.Command{Use: "describe NAME", Short: "Show a topic, its partitions and its own configuration",
		Example: "  thalweg topic describe arena", Args: exactly("a NAME"),
		RunE: t.run(func(ctx context.Context, cl *kgo.Client, args []string) error {
			d, err := describeTopic(ctx, cl, args[0])
			if err != nil {
				return err
			}
			return t.env.print(t.out, d, func(w *tabwriter.Writer) {
				row(w, "name", d.Name)
				row(w, "id", d.ID)
				row(w, "replicas", d.Replicas)
				names := make([]string, 0, len(d.Configs))
				for name := range d.Configs {
					names = append(names, name)
				}
				slices.Sort(names)
				for _, name := range names {
					row(w, name, d.Configs[name])
				}
				w.Flush()
				row(w)
				row(w, "PARTITION", "LEADER", "FIRST OFFSET", "NEXT OFFSET")
				for _, p := range d.PartitionL {
					row(w, p.Partition, p.Leader, p.First, p.Next)
				}
			})
		})}
}

func describeTopic(ctx context.Context, cl *kgo.Client, name string) (*topicDetail, error) {
	list, err := topics(ctx, cl, name)
	if err != nil {
		return nil, err
	}
	m := &list[0]
	d := &topicDetail{topicRow: rowOf(m), ID: fmt.Sprintf("%x-%x-%x-%x-%x", m.TopicID[:4], m.TopicID[4:6], m.TopicID[6:8], m.TopicID[8:10], m.TopicID[10:]),
		Configs: map[string]string{}, PartitionL: []partitionRow{}}
	first, err := offsets(ctx, cl, name, len(m.Partitions), -2)
	if err != nil {
		return nil, err
	}
	next, err := offsets(ctx, cl, name, len(m.Partitions), -1)
	if err != nil {
		return nil, err
	}
	for _, p := range m.Partitions {
		d.PartitionL = append(d.PartitionL, partitionRow{Partition: p.Partition, Leader: p.Leader, First: first[p.Partition], Next: next[p.Partition]})
	}
	req := kmsg.NewPtrDescribeConfigsRequest()
	rr := kmsg.NewDescribeConfigsRequestResource()
	rr.ResourceType, rr.ResourceName = kmsg.ConfigResourceTypeTopic, name
	req.Resources = append(req.Resources, rr)
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil, err
	}
	for _, c := range resp.Resources[0].Configs {
		if c.Source == kmsg.ConfigSourceDynamicTopicConfig && c.Value != nil {
			d.Configs[c.Name] = *c.Value
		}
	}
	return d, nil
}
