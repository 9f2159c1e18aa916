package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

type groupRow struct {
	Group   string `json:"group"`
	State   string `json:"state"`
	Members int    `json:"members"`
	// Lag is how many records lie between what was committed and the end.
	Lag     int64       `json:"lag"`
	Offsets []offsetRow `json:"offsets"`
}

type offsetRow struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Committed int64  `json:"committed"`
	Next      int64  `json:"next_offset"`
	Lag       int64  `json:"lag"`
}

func (t *cluster) topicGroups() *cobra.Command {
	c := &cobra.Command{Use: "groups [GROUP]", Short: "Show consumer groups and how far behind they are",
		Example: "  thalweg topic groups\n  thalweg topic groups scores -o json", Args: cobra.MaximumNArgs(1)}
	c.RunE = t.run(func(ctx context.Context, cl *kgo.Client, args []string) error {
		names := args
		if len(names) == 0 {
			var err error
			if names, err = groupNames(ctx, cl); err != nil {
				return err
			}
		}
		ends := map[string]map[int32]int64{}
		rows := []groupRow{}
		for _, name := range names {
			r, err := groupOf(ctx, cl, name, ends)
			if err != nil {
				return err
			}
			rows = append(rows, *r)
		}
		return t.env.print(t.out, rows, func(w *tabwriter.Writer) {
			if len(args) == 0 {
				row(w, "GROUP", "STATE", "MEMBERS", "LAG")
				for _, r := range rows {
					row(w, r.Group, r.State, r.Members, r.Lag)
				}
				return
			}
			row(w, "group", rows[0].Group)
			row(w, "state", rows[0].State)
			row(w, "members", rows[0].Members)
			w.Flush()
			row(w)
			row(w, "TOPIC", "PARTITION", "COMMITTED", "NEXT OFFSET", "LAG")
			for _, o := range rows[0].Offsets {
				row(w, o.Topic, o.Partition, o.Committed, o.Next, o.Lag)
			}
		})
	})
	return c
}

func groupNames(ctx context.Context, cl *kgo.Client) ([]string, error) {
	var out []string
	for _, shard := range cl.RequestSharded(ctx, kmsg.NewPtrListGroupsRequest()) {
		if shard.Err != nil {
			return nil, shard.Err
		}
		resp, ok := shard.Resp.(*kmsg.ListGroupsResponse)
		if !ok {
			return nil, fmt.Errorf("unexpected answer %T", shard.Resp)
		}
		if err := refused(resp.ErrorCode, nil); err != nil {
			return nil, err
		}
		for _, g := range resp.Groups {
			out = append(out, g.Group)
		}
	}
	slices.Sort(out)
	return out, nil
}

// groupOf describes a group. ends keeps the topics' ends that were asked for.
func groupOf(ctx context.Context, cl *kgo.Client, name string, ends map[string]map[int32]int64) (*groupRow, error) {
	describe := kmsg.NewPtrDescribeGroupsRequest()
	describe.Groups = []string{name}
	got, err := describe.RequestWith(ctx, cl)
	if err != nil {
		return nil, err
	}
	g := &got.Groups[0]
	if g.State == "Dead" {
		return nil, &failure{msg: "there is no group " + name}
	}
	if err := refused(g.ErrorCode, g.ErrorMessage); err != nil {
		return nil, err
	}
	r := &groupRow{Group: name, State: g.State, Members: len(g.Members), Offsets: []offsetRow{}}
	fetch := kmsg.NewPtrOffsetFetchRequest()
	fg := kmsg.NewOffsetFetchRequestGroup()
	fg.Group = name
	fetch.Group, fetch.Groups = name, append(fetch.Groups, fg)
	resp, err := fetch.RequestWith(ctx, cl)
	if err != nil {
		return nil, err
	}
	for _, g := range resp.Groups {
		if err := refused(g.ErrorCode, nil); err != nil {
			return nil, err
		}
		for _, topic := range g.Topics {
			if ends[topic.Topic] == nil {
				list, err := topics(ctx, cl, topic.Topic)
				if err != nil {
					return nil, err
				}
				if ends[topic.Topic], err = offsets(ctx, cl, topic.Topic, len(list[0].Partitions), -1); err != nil {
					return nil, err
				}
			}
			for _, p := range topic.Partitions {
				o := offsetRow{Topic: topic.Topic, Partition: p.Partition, Committed: p.Offset, Next: ends[topic.Topic][p.Partition]}
				o.Lag = max(o.Next-o.Committed, 0)
				r.Lag += o.Lag
				r.Offsets = append(r.Offsets, o)
			}
		}
	}
	slices.SortFunc(r.Offsets, func(a, b offsetRow) int {
		if c := strings.Compare(a.Topic, b.Topic); c != 0 {
			return c
		}
		return int(a.Partition - b.Partition)
	})
	return r, nil
}
