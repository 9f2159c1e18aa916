package kafka

import (
	"net"

	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// guard decides what of a request its client may do, before it is served. It
// answers at once what is refused whole; else it takes out of the request what is
// refused, and gives a function that puts that into the answer.
//
// An API key without one is refused, unless free or asks says that it needs none.
type guard func(*request, kmsg.Request) (refused kmsg.Response, after func(kmsg.Response))

// free are the keys that everybody may use whose connection is let in.
func free(key int16) bool {
	switch key {
	case 17, 18, 36, 60:
		return true
	}
	return false
}

// asks are the keys whose handlers ask by themselves: Produce, Fetch, ShareFetch and
// ShareAcknowledge.
func asks(key int16) bool {
	switch key {
	case 0, 1, 78, 79:
		return true
	}
	return false
}

// guarded serves a request as far as its client may.
func (d *Door) guarded(a *api, r *request, in kmsg.Request) (kmsg.Response, error) {
	if !d.opts.Enforce || free(a.key) || asks(a.key) {
		return a.serve(d, r, in)
	}
	g := d.guards[a.key]
	if g == nil {
		return nil, errRefused
	}
	refused, after := g(r, in)
	if refused != nil {
		return refused, nil
	}
	resp, err := a.serve(d, r, in)
	if err == nil && after != nil {
		after(resp)
	}
	return resp, err
}

// may tells whether the client may do something to a resource. An access key is
// asked of identity, as an action of kafka-cluster; whoever else of the ACLs.
func (c *conn) may(op brokers.Operation, kind brokers.ResourceKind, name string) bool {
	d := c.door
	if !d.opts.Enforce {
		return true
	}
	if who := c.login.who; who != nil && who.key.ID != "" {
		action, of := iamAction(op, kind)
		if kind == brokers.ClusterKind {
			name = ""
		}
		return action != "" && d.opts.Authority.MayKafka(who.key, action, d.cluster.ARN(of, name))
	}
	return d.opts.Security.May(c.principal, c.clientIP(), op, kind, name)
}

func (c *conn) mayCluster(op brokers.Operation) bool {
	return c.may(op, brokers.ClusterKind, brokers.ClusterResource)
}

func (c *conn) mayTopic(op brokers.Operation, name string) bool {
	return c.may(op, brokers.TopicKind, name)
}

// mayWrite tells whether there is anything that the client may write to.
func (c *conn) mayWrite() bool {
	if c.mayCluster(brokers.OpIdempotentWrite) {
		return true
	}
	return (c.login.who == nil || c.login.who.key.ID == "") &&
		c.door.opts.Security.MayAny(c.principal, c.clientIP(), brokers.OpWrite, brokers.TopicKind)
}

func (c *conn) clientIP() string {
	host, _, err := net.SplitHostPort(c.nc.RemoteAddr().String())
	if err != nil {
		return ""
	}
	return host
}

// iamAction is what an operation is in IAM, with the kind of its resource there
// (Service Authorization Reference, Apache Kafka APIs for Amazon MSK clusters).
// What IAM has no action for is "".
func iamAction(op brokers.Operation, kind brokers.ResourceKind) (action, of string) {
	switch kind {
	case brokers.ClusterKind:
		return map[brokers.Operation]string{brokers.OpDescribe: "DescribeCluster", brokers.OpAlter: "AlterCluster",
			brokers.OpDescribeConfigs: "DescribeClusterDynamicConfiguration", brokers.OpAlterConfigs: "AlterClusterDynamicConfiguration",
			brokers.OpIdempotentWrite: "WriteDataIdempotently"}[op], "cluster"
	case brokers.TopicKind:
		return map[brokers.Operation]string{brokers.OpDescribe: "DescribeTopic", brokers.OpCreate: "CreateTopic", brokers.OpDelete: "DeleteTopic",
			brokers.OpAlter: "AlterTopic", brokers.OpRead: "ReadData", brokers.OpWrite: "WriteData",
			brokers.OpDescribeConfigs: "DescribeTopicDynamicConfiguration", brokers.OpAlterConfigs: "AlterTopicDynamicConfiguration"}[op], "topic"
	case brokers.GroupKind:
		return map[brokers.Operation]string{brokers.OpDescribe: "DescribeGroup", brokers.OpRead: "AlterGroup", brokers.OpDelete: "DeleteGroup",
			brokers.OpDescribeConfigs: "DescribeGroup", brokers.OpAlterConfigs: "AlterGroup"}[op], "group"
	case brokers.TxnKind:
		return map[brokers.Operation]string{brokers.OpDescribe: "DescribeTransactionalId", brokers.OpWrite: "AlterTransactionalId"}[op], "transactional-id"
	}
	return "", ""
}

// split parts a list into what is let through and what is not.
func split[T any](list []T, ok func(*T) bool) (yes, no []T) {
	for i := range list {
		if ok(&list[i]) {
			yes = append(yes, list[i])
		} else {
			no = append(no, list[i])
		}
	}
	return yes, no
}

// topicName is the name of a topic that is given by name, or by id from some
// version on. One that there is not has none, and nobody needs leave to be told.
func (c *conn) topicName(name string, id brokers.TopicID) (string, bool) {
	if id == (brokers.TopicID{}) {
		return name, true
	}
	if t := c.door.cluster.TopicByID(id); t != nil {
		return t.Name(), true
	}
	return "", false
}

// topicDenied and its like are refusals that tell nothing of what is there.
func topicDenied() *brokers.Error {
	return refuse(brokers.TopicDenied, "Topic authorization failed.")
}

func groupDenied() *brokers.Error {
	return refuse(brokers.GroupDenied, "Group authorization failed.")
}

func clusterDenied() *brokers.Error {
	return refuse(brokers.ClusterDenied, "Cluster authorization failed.")
}

func txnDenied() *brokers.Error {
	return refuse(brokers.TxnDenied, "Transactional Id authorization failed.")
}
