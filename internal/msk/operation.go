package msk

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/catalog"
	"thalweg/internal/clusters"
	"thalweg/internal/errs"
	"thalweg/internal/opt"
)

// States of an operation, as Amazon MSK names them.
const (
	inProgress = "UPDATE_IN_PROGRESS"
	complete   = "UPDATE_COMPLETE"
	failed     = "UPDATE_FAILED"
)

// arnOf is the ARN of something of a cluster.
func arnOf(r *catalog.Resource, kind string) string {
	return strings.Replace(r.ARN, ":cluster/", ":"+kind+"/", 1)
}

// operationARN is the ARN of an operation of a cluster.
func operationARN(r *catalog.Resource, id string) string {
	return arnOf(r, "cluster-operation") + "/" + id
}

// operation is what an ARN names, with its cluster.
func (d *Door) operation(text opt.V[string]) (*catalog.Resource, *catalog.ClusterOperation, error) {
	n, err := parseARN(text.V, "clusterOperationArn", "cluster-operation")
	if err != nil {
		return nil, nil, err
	}
	r, err := d.clusters.Lookup(n.scope, n.name, n.uuid)
	if err != nil {
		return nil, nil, wireError(err)
	}
	o, err := clusters.Operation(r, n.rest)
	if err == nil && operationARN(r, o.ID) != text.V {
		err = clusters.ErrNotFound
	}
	return r, o, wireError(err)
}

func operationState(o *catalog.ClusterOperation) opt.V[string] {
	switch {
	case o.Ended == 0:
		return opt.Of(inProgress)
	case o.Error != "":
		return opt.Of(failed)
	}
	return opt.Of(complete)
}

func operationError(o *catalog.ClusterOperation) *model.ErrorInfo {
	if o.Error == "" {
		return nil
	}
	return &model.ErrorInfo{ErrorCode: opt.Of("CannotListen"), ErrorString: opt.Of(o.Error)}
}

// mutable is what is kept of a cluster before or after an operation.
func mutable(text []byte) *model.MutableClusterInfo {
	m := new(model.MutableClusterInfo)
	unshape(text, m)
	return m
}

// operationInfo is an operation in the older shape.
func operationInfo(r *catalog.Resource, o *catalog.ClusterOperation) model.ClusterOperationInfo {
	out := model.ClusterOperationInfo{
		ClusterArn: opt.Of(r.ARN), CreationTime: millis(o.Started), ErrorInfo: operationError(o), OperationArn: opt.Of(operationARN(r, o.ID)),
		OperationState: operationState(o), OperationType: opt.Of(o.Type), OperationSteps: []model.ClusterOperationStep{},
		SourceClusterInfo: mutable(o.Source), TargetClusterInfo: mutable(o.Target),
	}
	if o.Ended > 0 {
		out.EndTime = millis(o.Ended)
	}
	return out
}

// operations are those of a cluster, the newest first.
func operations(r *catalog.Resource) []*catalog.ClusterOperation {
	var out []*catalog.ClusterOperation
	for i := range r.Cluster.Operations {
		out = append(out, &r.Cluster.Operations[i])
	}
	slices.Reverse(out)
	return out
}

// operationsPage is the part of a cluster's operations that a request asks for.
func operationsPage(ctx context.Context, r *catalog.Resource, token opt.V[string], limit opt.V[int32]) ([]*catalog.ClusterOperation, opt.V[string], error) {
	after, err := afterToken(token)
	if err != nil {
		return nil, opt.V[string]{}, err
	}
	all := operations(r)
	n := 0
	for _, o := range all {
		n += 2 * (1<<10 + len(o.Source) + len(o.Target))
	}
	if !awsapi.Hold(ctx, n) {
		return nil, opt.V[string]{}, model.NewTooManyRequestsException("The server is over its memory budget.")
	}
	if i := slices.IndexFunc(all, func(o *catalog.ClusterOperation) bool { return o.ID == after }); i >= 0 {
		all = all[i+1:]
	} else if after != "" {
		all = nil // it is no longer remembered, nor is any before it
	}
	if n := limitOf(limit); len(all) > n {
		return all[:n], tokenOf(all[n-1].ID, true), nil
	}
	return all, opt.V[string]{}, nil
}

// change is an update of a cluster in the API's terms.
type change struct {
	cluster opt.V[string]
	// version is the cluster's that was given.
	version opt.V[string]
	kind    string
	state   catalog.State // UPDATING when not said
	// serverless is whether a cluster without brokers can be changed so.
	serverless bool
	// do alters the cluster and what is kept of its shape; source and target say what
	// of it was altered.
	do func(tx *catalog.Tx, r *catalog.Resource, p *model.Provisioned, source, target *model.MutableClusterInfo) error
	// brokers are those that it is about.
	brokers []int32
}

// update begins a change and returns the ARNs of cluster and operation.
func (d *Door) update(ctx context.Context, c change) (cluster, operation opt.V[string], err error) {
	none := opt.V[string]{}
	r, err := d.cluster(c.cluster)
	if err != nil {
		return none, none, err
	}
	if r.Cluster.Serverless && !c.serverless {
		return none, none, invalid("clusterArn", "This operation cannot be performed on serverless clusters.")
	}
	id, err := d.clusters.Update(ctx, r, clusters.Change{Type: c.kind, Version: c.version.V, State: cmp.Or(c.state, catalog.Updating),
		Do: func(tx *catalog.Tx, r *catalog.Resource, o *catalog.ClusterOperation) error {
			p := new(model.Provisioned)
			unshape(r.Cluster.Shape, p)
			source, target := new(model.MutableClusterInfo), new(model.MutableClusterInfo)
			if err := c.do(tx, r, p, source, target); err != nil {
				return err
			}
			if !r.Cluster.Serverless && r.Cluster.Shape != nil {
				r.Cluster.Shape = shape(p)
			}
			o.Brokers, o.Source, o.Target = c.brokers, shape(source), shape(target)
			return nil
		}})
	if err != nil {
		return none, none, wireError(err)
	}
	return opt.Of(r.ARN), opt.Of(operationARN(r, id)), nil
}

// ofTheServer refuses to change what the default cluster has no choice of.
func ofTheServer(r *catalog.Resource) error {
	if r.Cluster.Number != 0 {
		return nil
	}
	return errs.New(errs.Invalid, "The default cluster is what the server was started with: this cannot be changed here.")
}
