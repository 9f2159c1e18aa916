package kafka

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// mayGroup tells whether the client may do something to a group.
func (r *request) mayGroup(op brokers.Operation, name string) bool {
	return r.conn.may(op, brokers.GroupKind, name)
}

func (r *request) mayTxn(op brokers.Operation, name string) bool {
	return r.conn.may(op, brokers.TxnKind, name)
}

// oneGroup guards a request about one group, of which members alone speak.
func oneGroup[Req kmsg.Request](group func(Req) string, refused func(int16) kmsg.Response) guard {
	return func(r *request, in kmsg.Request) (kmsg.Response, func(kmsg.Response)) {
		req, ok := in.(Req)
		if ok && r.mayGroup(brokers.OpRead, group(req)) {
			return nil, nil
		}
		return refused(code(groupDenied())), nil
	}
}

// groupGuards are those of groups and transactions: READ on a group for its
// members, DESCRIBE to look at it, DELETE to remove it or its offsets; WRITE on a
// transactional id; and READ or WRITE on the topics that are named.
func groupGuards() map[int16]guard {
	return map[int16]guard{
		8: on2(guardOffsetCommit), 9: on2(guardOffsetFetch), 10: on2(guardFindCoordinator),
		11: oneGroup(func(in *kmsg.JoinGroupRequest) string { return in.Group }, func(code int16) kmsg.Response {
			resp := kmsg.NewPtrJoinGroupResponse()
			resp.ErrorCode, resp.Protocol = code, new(string)
			return resp
		}),
		12: oneGroup(func(in *kmsg.HeartbeatRequest) string { return in.Group }, func(code int16) kmsg.Response {
			return &kmsg.HeartbeatResponse{ErrorCode: code}
		}),
		13: oneGroup(func(in *kmsg.LeaveGroupRequest) string { return in.Group }, func(code int16) kmsg.Response {
			return &kmsg.LeaveGroupResponse{ErrorCode: code}
		}),
		14: oneGroup(func(in *kmsg.SyncGroupRequest) string { return in.Group }, func(code int16) kmsg.Response {
			return &kmsg.SyncGroupResponse{ErrorCode: code}
		}),
		68: on2(guardConsumerHeartbeat), 69: on2(guardDescribeConsumers),
		76: on2(guardShareHeartbeat), 77: on2(guardDescribeShares),
		90: on2(guardShareOffsets), 91: on2(guardAlterShareOffsets), 92: on2(guardDeleteShareOffsets),
		15: on2(guardDescribeGroups), 16: on2(guardListGroups), 42: on2(guardDeleteGroups), 47: on2(guardOffsetDelete),
		22: on2(guardInitProducerID), 24: on2(guardAddPartitions), 25: on2(guardAddOffsets), 26: on2(guardEndTxn), 28: on2(guardTxnOffsets),
		27: on2(guardWriteTxnMarkers), 61: on2(guardDescribeProducers), 65: on2(guardDescribeTransactions), 66: on2(guardListTransactions),
	}
}

// on2 makes a guard of one message one of any.
func on2[Req kmsg.Request](fn func(*request, Req) (kmsg.Response, func(kmsg.Response))) guard {
	return func(r *request, in kmsg.Request) (kmsg.Response, func(kmsg.Response)) {
		if req, ok := in.(Req); ok {
			return fn(r, req)
		}
		return nil, nil // serve refuses it
	}
}

func guardOffsetCommit(r *request, in *kmsg.OffsetCommitRequest) (kmsg.Response, func(kmsg.Response)) {
	answer := func(resp *kmsg.OffsetCommitResponse, topics []kmsg.OffsetCommitRequestTopic, err *brokers.Error) {
		for _, t := range topics {
			out := kmsg.NewOffsetCommitResponseTopic()
			out.Topic, out.TopicID = t.Topic, t.TopicID
			for _, p := range t.Partitions {
				out.Partitions = append(out.Partitions, kmsg.OffsetCommitResponseTopicPartition{Partition: p.Partition, ErrorCode: code(err)})
			}
			resp.Topics = append(resp.Topics, out)
		}
	}
	if !r.mayGroup(brokers.OpRead, in.Group) {
		resp := kmsg.NewPtrOffsetCommitResponse()
		answer(resp, in.Topics, groupDenied())
		return resp, nil
	}
	var no []kmsg.OffsetCommitRequestTopic
	in.Topics, no = split(in.Topics, func(t *kmsg.OffsetCommitRequestTopic) bool {
		name, known := r.conn.topicName(t.Topic, t.TopicID)
		return !known || r.conn.mayTopic(brokers.OpRead, name)
	})
	return nil, func(resp kmsg.Response) { answer(resp.(*kmsg.OffsetCommitResponse), no, topicDenied()) }
}

func guardTxnOffsets(r *request, in *kmsg.TxnOffsetCommitRequest) (kmsg.Response, func(kmsg.Response)) {
	answer := func(resp *kmsg.TxnOffsetCommitResponse, topics []kmsg.TxnOffsetCommitRequestTopic, err *brokers.Error) {
		for _, t := range topics {
			out := kmsg.NewTxnOffsetCommitResponseTopic()
			out.Topic, out.TopicID = t.Topic, t.TopicID
			for _, p := range t.Partitions {
				out.Partitions = append(out.Partitions, kmsg.TxnOffsetCommitResponseTopicPartition{Partition: p.Partition, ErrorCode: code(err)})
			}
			resp.Topics = append(resp.Topics, out)
		}
	}
	var err *brokers.Error
	switch {
	case !r.mayTxn(brokers.OpWrite, in.TransactionalID):
		err = txnDenied()
	case !r.mayGroup(brokers.OpRead, in.Group):
		err = groupDenied()
	}
	if err != nil {
		resp := kmsg.NewPtrTxnOffsetCommitResponse()
		answer(resp, in.Topics, err)
		return resp, nil
	}
	var no []kmsg.TxnOffsetCommitRequestTopic
	in.Topics, no = split(in.Topics, func(t *kmsg.TxnOffsetCommitRequestTopic) bool {
		name, known := r.conn.topicName(t.Topic, t.TopicID)
		return !known || r.conn.mayTopic(brokers.OpRead, name)
	})
	return nil, func(resp kmsg.Response) { answer(resp.(*kmsg.TxnOffsetCommitResponse), no, topicDenied()) }
}

// guardOffsetFetch refuses a request before version 8 whole for its group, and
// later ones group by group. Topics that may not be described are left out of what
// a group has committed, or refused where they are named.
func guardOffsetFetch(r *request, in *kmsg.OffsetFetchRequest) (kmsg.Response, func(kmsg.Response)) {
	if in.Version < 8 {
		if !r.mayGroup(brokers.OpDescribe, in.Group) {
			resp := kmsg.NewPtrOffsetFetchResponse()
			resp.ErrorCode = code(groupDenied())
			for _, t := range in.Topics { // version 1 has no code of its own
				out := kmsg.NewOffsetFetchResponseTopic()
				out.Topic = t.Topic
				for _, p := range t.Partitions {
					out.Partitions = append(out.Partitions, kmsg.OffsetFetchResponseTopicPartition{Partition: p, Offset: -1, LeaderEpoch: -1,
						Metadata: new(string), ErrorCode: resp.ErrorCode})
				}
				resp.Topics = append(resp.Topics, out)
			}
			return resp, nil
		}
		return nil, func(resp kmsg.Response) { hideOffsets(r, resp.(*kmsg.OffsetFetchResponse), in.Topics == nil) }
	}
	var no []kmsg.OffsetFetchRequestGroup
	in.Groups, no = split(in.Groups, func(g *kmsg.OffsetFetchRequestGroup) bool { return r.mayGroup(brokers.OpDescribe, g.Group) })
	all := map[string]bool{}
	for _, g := range in.Groups {
		all[g.Group] = g.Topics == nil
	}
	return nil, func(resp kmsg.Response) {
		out := resp.(*kmsg.OffsetFetchResponse)
		for i := range out.Groups {
			hideGroupOffsets(r, &out.Groups[i], all[out.Groups[i].Group])
		}
		for _, g := range no {
			o := kmsg.NewOffsetFetchResponseGroup()
			o.Group, o.ErrorCode = g.Group, code(groupDenied())
			out.Groups = append(out.Groups, o)
		}
	}
}

func hideOffsets(r *request, resp *kmsg.OffsetFetchResponse, all bool) {
	yes, no := split(resp.Topics, func(t *kmsg.OffsetFetchResponseTopic) bool { return r.conn.mayTopic(brokers.OpDescribe, t.Topic) })
	if resp.Topics = yes; all {
		return
	}
	for _, t := range no {
		for i := range t.Partitions {
			t.Partitions[i] = kmsg.OffsetFetchResponseTopicPartition{Partition: t.Partitions[i].Partition, Offset: -1, LeaderEpoch: -1,
				Metadata: new(string), ErrorCode: code(topicDenied())}
		}
		resp.Topics = append(resp.Topics, t)
	}
}

func hideGroupOffsets(r *request, g *kmsg.OffsetFetchResponseGroup, all bool) {
	yes, no := split(g.Topics, func(t *kmsg.OffsetFetchResponseGroupTopic) bool {
		name, known := r.conn.topicName(t.Topic, t.TopicID)
		return !known || r.conn.mayTopic(brokers.OpDescribe, name)
	})
	if g.Topics = yes; all {
		return
	}
	for _, t := range no {
		for i := range t.Partitions {
			t.Partitions[i] = committed(t.Partitions[i].Partition, brokers.Fetched{}, false)
			t.Partitions[i].ErrorCode = code(topicDenied())
		}
		g.Topics = append(g.Topics, t)
	}
}

func guardFindCoordinator(r *request, in *kmsg.FindCoordinatorRequest) (kmsg.Response, func(kmsg.Response)) {
	kind, err := brokers.GroupKind, groupDenied()
	if in.CoordinatorType == 1 {
		kind, err = brokers.TxnKind, txnDenied()
	}
	ok := func(key *string) bool { return r.conn.may(brokers.OpDescribe, kind, *key) }
	if in.Version < 4 {
		if ok(&in.CoordinatorKey) {
			return nil, nil
		}
		resp := kmsg.NewPtrFindCoordinatorResponse()
		resp.ErrorCode, resp.ErrorMessage, resp.NodeID, resp.Port = code(err), message(err), -1, -1
		return resp, nil
	}
	var no []string
	in.CoordinatorKeys, no = split(in.CoordinatorKeys, ok)
	return nil, func(resp kmsg.Response) {
		out := resp.(*kmsg.FindCoordinatorResponse)
		for _, key := range no {
			c := kmsg.NewFindCoordinatorResponseCoordinator()
			c.Key, c.NodeID, c.Port, c.ErrorCode, c.ErrorMessage = key, -1, -1, code(err), message(err)
			out.Coordinators = append(out.Coordinators, c)
		}
	}
}

func guardDescribeGroups(r *request, in *kmsg.DescribeGroupsRequest) (kmsg.Response, func(kmsg.Response)) {
	var no []string
	in.Groups, no = split(in.Groups, func(g *string) bool { return r.mayGroup(brokers.OpDescribe, *g) })
	return nil, func(resp kmsg.Response) {
		out := resp.(*kmsg.DescribeGroupsResponse)
		for _, g := range no {
			o := kmsg.NewDescribeGroupsResponseGroup()
			o.Group, o.ErrorCode, o.ErrorMessage = g, code(groupDenied()), message(groupDenied())
			out.Groups = append(out.Groups, o)
		}
	}
}

// guardConsumerHeartbeat refuses a member that names a topic which it may not
// describe.
func guardConsumerHeartbeat(r *request, in *kmsg.ConsumerGroupHeartbeatRequest) (kmsg.Response, func(kmsg.Response)) {
	resp := kmsg.NewPtrConsumerGroupHeartbeatResponse()
	if !r.mayGroup(brokers.OpRead, in.Group) {
		resp.ErrorCode = code(groupDenied())
		return resp, nil
	}
	if _, no := split(in.SubscribedTopicNames, func(t *string) bool { return r.conn.mayTopic(brokers.OpDescribe, *t) }); len(no) > 0 {
		resp.ErrorCode = code(topicDenied())
		return resp, nil
	}
	return nil, nil
}

// guardDescribeConsumers shows nothing of a group that has a topic which may not
// be described.
func guardDescribeConsumers(r *request, in *kmsg.ConsumerGroupDescribeRequest) (kmsg.Response, func(kmsg.Response)) {
	var no []string
	in.Groups, no = split(in.Groups, func(g *string) bool { return r.mayGroup(brokers.OpDescribe, *g) })
	return nil, func(resp kmsg.Response) {
		out := resp.(*kmsg.ConsumerGroupDescribeResponse)
		for i := range out.Groups {
			if g := &out.Groups[i]; !r.mayTopics(g) {
				o := kmsg.NewConsumerGroupDescribeResponseGroup()
				text := "The group has described topic(s) that the client is not authorized to describe."
				o.Group, o.ErrorCode, o.ErrorMessage = g.Group, code(topicDenied()), &text
				*g = o
			}
		}
		for _, g := range no {
			o := kmsg.NewConsumerGroupDescribeResponseGroup()
			o.Group, o.ErrorCode = g, code(groupDenied())
			out.Groups = append(out.Groups, o)
		}
	}
}

// mayTopics tells whether the client may describe every topic of a group.
func (r *request) mayTopics(g *kmsg.ConsumerGroupDescribeResponseGroup) bool {
	for _, m := range g.Members {
		names := slices.Clone(m.SubscribedTopics)
		for _, list := range []kmsg.Assignment{m.Assignment, m.TargetAssignment} {
			for _, t := range list.TopicPartitions {
				names = append(names, t.Topic)
			}
		}
		if slices.ContainsFunc(names, func(name string) bool { return !r.conn.mayTopic(brokers.OpDescribe, name) }) {
			return false
		}
	}
	return true
}

// guardListGroups shows the groups that may be described, or all to whom the
// cluster may be.
func guardListGroups(r *request, _ *kmsg.ListGroupsRequest) (kmsg.Response, func(kmsg.Response)) {
	if r.conn.mayCluster(brokers.OpDescribe) {
		return nil, nil
	}
	return nil, func(resp kmsg.Response) {
		out := resp.(*kmsg.ListGroupsResponse)
		out.Groups, _ = split(out.Groups, func(g *kmsg.ListGroupsResponseGroup) bool { return r.mayGroup(brokers.OpDescribe, g.Group) })
	}
}

func guardDeleteGroups(r *request, in *kmsg.DeleteGroupsRequest) (kmsg.Response, func(kmsg.Response)) {
	var no []string
	in.Groups, no = split(in.Groups, func(g *string) bool { return r.mayGroup(brokers.OpDelete, *g) })
	return nil, func(resp kmsg.Response) {
		out := resp.(*kmsg.DeleteGroupsResponse)
		for _, g := range no {
			o := kmsg.NewDeleteGroupsResponseGroup()
			o.Group, o.ErrorCode = g, code(groupDenied())
			out.Groups = append(out.Groups, o)
		}
	}
}

func guardOffsetDelete(r *request, in *kmsg.OffsetDeleteRequest) (kmsg.Response, func(kmsg.Response)) {
	if !r.mayGroup(brokers.OpDelete, in.Group) {
		return &kmsg.OffsetDeleteResponse{ErrorCode: code(groupDenied())}, nil
	}
	var no []kmsg.OffsetDeleteRequestTopic
	in.Topics, no = split(in.Topics, func(t *kmsg.OffsetDeleteRequestTopic) bool { return r.conn.mayTopic(brokers.OpRead, t.Topic) })
	return nil, func(resp kmsg.Response) {
		out := resp.(*kmsg.OffsetDeleteResponse)
		for _, t := range no {
			o := kmsg.NewOffsetDeleteResponseTopic()
			o.Topic = t.Topic
			for _, p := range t.Partitions {
				o.Partitions = append(o.Partitions, kmsg.OffsetDeleteResponseTopicPartition{Partition: p.Partition, ErrorCode: code(topicDenied())})
			}
			out.Topics = append(out.Topics, o)
		}
	}
}

func guardInitProducerID(r *request, in *kmsg.InitProducerIDRequest) (kmsg.Response, func(kmsg.Response)) {
	resp := kmsg.NewPtrInitProducerIDResponse()
	resp.ProducerID, resp.ProducerEpoch = -1, -1
	switch {
	case in.TransactionalID != nil && !r.mayTxn(brokers.OpWrite, *in.TransactionalID):
		resp.ErrorCode = code(txnDenied())
	case in.TransactionalID == nil && !r.conn.mayWrite():
		resp.ErrorCode = code(clusterDenied())
	default:
		return nil, nil
	}
	return resp, nil
}

// guardAddPartitions refuses all partitions of a request that has one which may
// not be written: the others with OPERATION_NOT_ATTEMPTED, as Apache Kafka does.
// Versions from 4 on are for brokers.
func guardAddPartitions(r *request, in *kmsg.AddPartitionsToTxnRequest) (kmsg.Response, func(kmsg.Response)) {
	if in.Version >= 4 {
		if r.conn.mayCluster(brokers.OpClusterAction) {
			return nil, nil
		}
		return &kmsg.AddPartitionsToTxnResponse{ErrorCode: code(clusterDenied())}, nil
	}
	txn := r.mayTxn(brokers.OpWrite, in.TransactionalID)
	refused := !txn
	resp := kmsg.NewPtrAddPartitionsToTxnResponse()
	for _, t := range in.Topics {
		err := topicDenied()
		switch {
		case !txn:
			err = txnDenied()
		case r.conn.mayTopic(brokers.OpWrite, t.Topic):
			err = refuse(brokers.OperationNotAttempted, "")
		default:
			refused = true
		}
		out := kmsg.NewAddPartitionsToTxnResponseTopic()
		out.Topic = t.Topic
		for _, p := range t.Partitions {
			out.Partitions = append(out.Partitions, kmsg.AddPartitionsToTxnResponseTopicPartition{Partition: p, ErrorCode: code(err)})
		}
		resp.Topics = append(resp.Topics, out)
	}
	if refused {
		return resp, nil
	}
	return nil, nil
}

func guardAddOffsets(r *request, in *kmsg.AddOffsetsToTxnRequest) (kmsg.Response, func(kmsg.Response)) {
	switch {
	case !r.mayTxn(brokers.OpWrite, in.TransactionalID):
		return &kmsg.AddOffsetsToTxnResponse{ErrorCode: code(txnDenied())}, nil
	case !r.mayGroup(brokers.OpRead, in.Group):
		return &kmsg.AddOffsetsToTxnResponse{ErrorCode: code(groupDenied())}, nil
	}
	return nil, nil
}

func guardEndTxn(r *request, in *kmsg.EndTxnRequest) (kmsg.Response, func(kmsg.Response)) {
	if r.mayTxn(brokers.OpWrite, in.TransactionalID) {
		return nil, nil
	}
	resp := kmsg.NewPtrEndTxnResponse()
	resp.ErrorCode = code(txnDenied())
	return resp, nil
}
