package kafka

import (
	"math"

	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// topicGuards are those of topics and of the cluster. Topics that may not be
// described are not told from those that there are not, where they are listed.
func topicGuards() map[int16]guard {
	return map[int16]guard{
		2: on2(guardListOffsets), 3: on2(guardMetadata), 19: on2(guardCreateTopics), 20: on2(guardDeleteTopics),
		21: on2(guardDeleteRecords), 23: on2(guardEpochEnd), 32: on2(guardDescribeConfigs), 33: on2(guardAlterConfigs),
		37: on2(guardCreatePartitions), 44: on2(guardIncrementalAlterConfigs), 75: on2(guardDescribeTopics),
		29: on2(guardDescribeACLs), 30: on2(guardCreateACLs), 31: on2(guardDeleteACLs), 50: on2(guardDescribeUsers), 51: on2(guardAlterUsers),
	}
}

func guardListOffsets(r *request, in *kmsg.ListOffsetsRequest) (kmsg.Response, func(kmsg.Response)) {
	var no []kmsg.ListOffsetsRequestTopic
	in.Topics, no = split(in.Topics, func(t *kmsg.ListOffsetsRequestTopic) bool { return r.conn.mayTopic(brokers.OpDescribe, t.Topic) })
	return nil, func(resp kmsg.Response) {
		out := resp.(*kmsg.ListOffsetsResponse)
		for _, t := range no {
			o := kmsg.NewListOffsetsResponseTopic()
			o.Topic = t.Topic
			for _, p := range t.Partitions {
				part := kmsg.NewListOffsetsResponseTopicPartition()
				part.Partition, part.ErrorCode, part.Offset, part.Timestamp, part.LeaderEpoch = p.Partition, code(topicDenied()), -1, -1, -1
				o.Partitions = append(o.Partitions, part)
			}
			out.Topics = append(out.Topics, o)
		}
	}
}

func guardEpochEnd(r *request, in *kmsg.OffsetForLeaderEpochRequest) (kmsg.Response, func(kmsg.Response)) {
	var no []kmsg.OffsetForLeaderEpochRequestTopic
	in.Topics, no = split(in.Topics, func(t *kmsg.OffsetForLeaderEpochRequestTopic) bool {
		return r.conn.mayTopic(brokers.OpDescribe, t.Topic)
	})
	return nil, func(resp kmsg.Response) {
		out := resp.(*kmsg.OffsetForLeaderEpochResponse)
		for _, t := range no {
			o := kmsg.NewOffsetForLeaderEpochResponseTopic()
			o.Topic = t.Topic
			for _, p := range t.Partitions {
				part := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
				part.Partition, part.ErrorCode, part.LeaderEpoch, part.EndOffset = p.Partition, code(topicDenied()), -1, -1
				o.Partitions = append(o.Partitions, part)
			}
			out.Topics = append(out.Topics, o)
		}
	}
}

// guardMetadata also refuses to make a topic for a client that may not.
func guardMetadata(r *request, in *kmsg.MetadataRequest) (kmsg.Response, func(kmsg.Response)) {
	if in.Topics == nil || in.Version == 0 && len(in.Topics) == 0 {
		return nil, func(resp kmsg.Response) {
			out := resp.(*kmsg.MetadataResponse)
			out.Topics, _ = split(out.Topics, func(t *kmsg.MetadataResponseTopic) bool { return r.conn.mayTopic(brokers.OpDescribe, *t.Topic) })
		}
	}
	byID(in)
	creates := in.AllowAutoTopicCreation || in.Version < 4
	var no []kmsg.MetadataRequestTopic
	in.Topics, no = split(in.Topics, func(t *kmsg.MetadataRequestTopic) bool {
		if t.Topic == nil {
			name, known := r.conn.topicName("", t.TopicID)
			return !known || r.conn.mayTopic(brokers.OpDescribe, name)
		}
		makes := creates && r.conn.door.cluster.Topic(*t.Topic) == nil
		return r.conn.mayTopic(brokers.OpDescribe, *t.Topic) && (!makes || r.conn.mayCreate(*t.Topic))
	})
	if in.Topics == nil {
		in.Topics = []kmsg.MetadataRequestTopic{} // none, which is not all
	}
	none := len(in.Topics) == 0 && in.Version == 0
	return nil, func(resp kmsg.Response) {
		out := resp.(*kmsg.MetadataResponse)
		if none {
			out.Topics = nil
		}
		for _, t := range no {
			o := kmsg.NewMetadataResponseTopic()
			o.ErrorCode, o.Topic, o.TopicID, o.AuthorizedOperations = code(topicDenied()), t.Topic, t.TopicID, math.MinInt32
			if t.Topic == nil {
				o.ErrorCode = code(unknownTopicID())
			}
			out.Topics = append(out.Topics, o)
		}
	}
}

func (c *conn) mayCreate(topic string) bool {
	return c.mayCluster(brokers.OpCreate) || c.mayTopic(brokers.OpCreate, topic)
}

func guardDescribeTopics(r *request, in *kmsg.DescribeTopicPartitionsRequest) (kmsg.Response, func(kmsg.Response)) {
	if len(in.Topics) == 0 {
		for _, t := range r.conn.door.cluster.Topics() {
			if r.conn.mayTopic(brokers.OpDescribe, t.Name()) {
				in.Topics = append(in.Topics, kmsg.DescribeTopicPartitionsRequestTopic{Topic: t.Name()})
			}
		}
		if len(in.Topics) == 0 {
			return kmsg.NewPtrDescribeTopicPartitionsResponse(), nil
		}
		return nil, nil
	}
	var no []kmsg.DescribeTopicPartitionsRequestTopic
	in.Topics, no = split(in.Topics, func(t *kmsg.DescribeTopicPartitionsRequestTopic) bool {
		return r.conn.mayTopic(brokers.OpDescribe, t.Topic)
	})
	answer := func(resp kmsg.Response) {
		out := resp.(*kmsg.DescribeTopicPartitionsResponse)
		for _, t := range no {
			o := kmsg.NewDescribeTopicPartitionsResponseTopic()
			o.ErrorCode, o.Topic, o.AuthorizedOperations = code(topicDenied()), &t.Topic, math.MinInt32
			out.Topics = append(out.Topics, o)
		}
	}
	if len(in.Topics) == 0 {
		resp := kmsg.NewPtrDescribeTopicPartitionsResponse()
		answer(resp)
		return resp, nil
	}
	return nil, answer
}

func guardCreateTopics(r *request, in *kmsg.CreateTopicsRequest) (kmsg.Response, func(kmsg.Response)) {
	var no []kmsg.CreateTopicsRequestTopic
	in.Topics, no = split(in.Topics, func(t *kmsg.CreateTopicsRequestTopic) bool { return r.conn.mayCreate(t.Topic) })
	return nil, func(resp kmsg.Response) {
		out := resp.(*kmsg.CreateTopicsResponse)
		for _, t := range no {
			o := kmsg.NewCreateTopicsResponseTopic()
			o.Topic, o.ErrorCode, o.ErrorMessage, o.NumPartitions, o.ReplicationFactor = t.Topic, code(topicDenied()), message(topicDenied()), -1, -1
			out.Topics = append(out.Topics, o)
		}
	}
}

func guardDeleteTopics(r *request, in *kmsg.DeleteTopicsRequest) (kmsg.Response, func(kmsg.Response)) {
	may := func(name *string, id brokers.TopicID) bool {
		n, known := r.conn.topicName("", id)
		if name != nil {
			n, known = *name, true
		}
		return !known || n == "" || r.conn.mayTopic(brokers.OpDelete, n)
	}
	var noNames []string
	var no []kmsg.DeleteTopicsRequestTopic
	in.TopicNames, noNames = split(in.TopicNames, func(name *string) bool { return may(name, brokers.TopicID{}) })
	in.Topics, no = split(in.Topics, func(t *kmsg.DeleteTopicsRequestTopic) bool { return may(t.Topic, t.TopicID) })
	for _, name := range noNames {
		no = append(no, kmsg.DeleteTopicsRequestTopic{Topic: &name})
	}
	return nil, func(resp kmsg.Response) {
		out := resp.(*kmsg.DeleteTopicsResponse)
		for _, t := range no {
			o := kmsg.NewDeleteTopicsResponseTopic()
			o.Topic, o.TopicID, o.ErrorCode, o.ErrorMessage = t.Topic, t.TopicID, code(topicDenied()), message(topicDenied())
			out.Topics = append(out.Topics, o)
		}
	}
}

func guardDeleteRecords(r *request, in *kmsg.DeleteRecordsRequest) (kmsg.Response, func(kmsg.Response)) {
	var no []kmsg.DeleteRecordsRequestTopic
	in.Topics, no = split(in.Topics, func(t *kmsg.DeleteRecordsRequestTopic) bool { return r.conn.mayTopic(brokers.OpDelete, t.Topic) })
	return nil, func(resp kmsg.Response) {
		out := resp.(*kmsg.DeleteRecordsResponse)
		for _, t := range no {
			o := kmsg.NewDeleteRecordsResponseTopic()
			o.Topic = t.Topic
			for _, p := range t.Partitions {
				o.Partitions = append(o.Partitions, kmsg.DeleteRecordsResponseTopicPartition{Partition: p.Partition, LowWatermark: -1, ErrorCode: code(topicDenied())})
			}
			out.Topics = append(out.Topics, o)
		}
	}
}

func guardCreatePartitions(r *request, in *kmsg.CreatePartitionsRequest) (kmsg.Response, func(kmsg.Response)) {
	var no []kmsg.CreatePartitionsRequestTopic
	in.Topics, no = split(in.Topics, func(t *kmsg.CreatePartitionsRequestTopic) bool { return r.conn.mayTopic(brokers.OpAlter, t.Topic) })
	return nil, func(resp kmsg.Response) {
		out := resp.(*kmsg.CreatePartitionsResponse)
		for _, t := range no {
			out.Topics = append(out.Topics, kmsg.CreatePartitionsResponseTopic{Topic: t.Topic, ErrorCode: code(topicDenied()), ErrorMessage: message(topicDenied())})
		}
	}
}

// mayConfigs refuses what a client may not do to the configuration of a resource.
func (c *conn) mayConfigs(op brokers.Operation, kind kmsg.ConfigResourceType, name string) *brokers.Error {
	switch {
	case kind == kmsg.ConfigResourceTypeTopic:
		if !c.mayTopic(op, name) {
			return topicDenied()
		}
	case kind == kmsg.ConfigResourceTypeGroupConfig:
		if !c.may(op, brokers.GroupKind, name) {
			return groupDenied()
		}
	case !c.mayCluster(op):
		return clusterDenied()
	}
	return nil
}

func guardDescribeConfigs(r *request, in *kmsg.DescribeConfigsRequest) (kmsg.Response, func(kmsg.Response)) {
	var no []kmsg.DescribeConfigsRequestResource
	in.Resources, no = split(in.Resources, func(res *kmsg.DescribeConfigsRequestResource) bool {
		return r.conn.mayConfigs(brokers.OpDescribeConfigs, res.ResourceType, res.ResourceName) == nil
	})
	return nil, func(resp kmsg.Response) {
		out := resp.(*kmsg.DescribeConfigsResponse)
		for _, res := range no {
			err := r.conn.mayConfigs(brokers.OpDescribeConfigs, res.ResourceType, res.ResourceName)
			out.Resources = append(out.Resources, kmsg.DescribeConfigsResponseResource{ResourceType: res.ResourceType,
				ResourceName: res.ResourceName, ErrorCode: code(err), ErrorMessage: message(err)})
		}
	}
}

func guardAlterConfigs(r *request, in *kmsg.AlterConfigsRequest) (kmsg.Response, func(kmsg.Response)) {
	var no []kmsg.AlterConfigsRequestResource
	in.Resources, no = split(in.Resources, func(res *kmsg.AlterConfigsRequestResource) bool {
		return r.conn.mayConfigs(brokers.OpAlterConfigs, res.ResourceType, res.ResourceName) == nil
	})
	return nil, func(resp kmsg.Response) {
		out := resp.(*kmsg.AlterConfigsResponse)
		for _, res := range no {
			err := r.conn.mayConfigs(brokers.OpAlterConfigs, res.ResourceType, res.ResourceName)
			out.Resources = append(out.Resources, kmsg.AlterConfigsResponseResource{ResourceType: res.ResourceType,
				ResourceName: res.ResourceName, ErrorCode: code(err), ErrorMessage: message(err)})
		}
	}
}

func guardIncrementalAlterConfigs(r *request, in *kmsg.IncrementalAlterConfigsRequest) (kmsg.Response, func(kmsg.Response)) {
	var no []kmsg.IncrementalAlterConfigsRequestResource
	in.Resources, no = split(in.Resources, func(res *kmsg.IncrementalAlterConfigsRequestResource) bool {
		return r.conn.mayConfigs(brokers.OpAlterConfigs, res.ResourceType, res.ResourceName) == nil
	})
	return nil, func(resp kmsg.Response) {
		out := resp.(*kmsg.IncrementalAlterConfigsResponse)
		for _, res := range no {
			err := r.conn.mayConfigs(brokers.OpAlterConfigs, res.ResourceType, res.ResourceName)
			out.Resources = append(out.Resources, kmsg.IncrementalAlterConfigsResponseResource{ResourceType: res.ResourceType,
				ResourceName: res.ResourceName, ErrorCode: code(err), ErrorMessage: message(err)})
		}
	}
}

func guardDescribeACLs(r *request, _ *kmsg.DescribeACLsRequest) (kmsg.Response, func(kmsg.Response)) {
	if r.conn.mayCluster(brokers.OpDescribe) {
		return nil, nil
	}
	return &kmsg.DescribeACLsResponse{ErrorCode: code(clusterDenied()), ErrorMessage: message(clusterDenied())}, nil
}

func guardCreateACLs(r *request, in *kmsg.CreateACLsRequest) (kmsg.Response, func(kmsg.Response)) {
	if r.conn.mayCluster(brokers.OpAlter) {
		return nil, nil
	}
	resp := kmsg.NewPtrCreateACLsResponse()
	for range in.Creations {
		resp.Results = append(resp.Results, kmsg.CreateACLsResponseResult{ErrorCode: code(clusterDenied()), ErrorMessage: message(clusterDenied())})
	}
	return resp, nil
}

func guardDeleteACLs(r *request, in *kmsg.DeleteACLsRequest) (kmsg.Response, func(kmsg.Response)) {
	if r.conn.mayCluster(brokers.OpAlter) {
		return nil, nil
	}
	resp := kmsg.NewPtrDeleteACLsResponse()
	for range in.Filters {
		resp.Results = append(resp.Results, kmsg.DeleteACLsResponseResult{ErrorCode: code(clusterDenied()), ErrorMessage: message(clusterDenied())})
	}
	return resp, nil
}

func guardDescribeUsers(r *request, _ *kmsg.DescribeUserSCRAMCredentialsRequest) (kmsg.Response, func(kmsg.Response)) {
	if r.conn.mayCluster(brokers.OpDescribe) {
		return nil, nil
	}
	return &kmsg.DescribeUserSCRAMCredentialsResponse{ErrorCode: code(clusterDenied()), ErrorMessage: message(clusterDenied())}, nil
}

func guardAlterUsers(r *request, in *kmsg.AlterUserSCRAMCredentialsRequest) (kmsg.Response, func(kmsg.Response)) {
	if r.conn.mayCluster(brokers.OpAlter) {
		return nil, nil
	}
	resp := kmsg.NewPtrAlterUserSCRAMCredentialsResponse()
	for _, name := range alteredUsers(in) {
		resp.Results = append(resp.Results, kmsg.AlterUserSCRAMCredentialsResponseResult{User: name,
			ErrorCode: code(clusterDenied()), ErrorMessage: message(clusterDenied())})
	}
	return resp, nil
}
