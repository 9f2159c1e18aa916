package msk

import (
	"cmp"
	"context"
	"net"
	"slices"
	"strconv"

	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/catalog"
	"thalweg/internal/clusters"
	"thalweg/internal/opt"
)

// GetBootstrapBrokers
//
// Tells where clients reach the brokers, as those tell it themselves: the host that
// is advertised (--advertise), else the one that is listened on, or for a listener on
// all interfaces the address that the request came to; and the port of each broker. There is one list for each kind of client that the cluster lets in.
//
// Errors: NotFound; BadRequest while the cluster is not ACTIVE.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn-bootstrap-brokers.html
//
// Status: done
// Deviation: there are no lists for VPC connections, public access and IPv6; a listener with SASL and without TLS is in none
func (d *Door) GetBootstrapBrokers(ctx context.Context, in *model.GetBootstrapBrokersInput) (*model.GetBootstrapBrokersOutput, error) {
	r, err := d.cluster(in.ClusterArn)
	if err != nil {
		return nil, err
	}
	at := d.endpoints(ctx, r)
	if at == nil {
		return nil, model.NewBadRequestException("The cluster " + r.Name + " does not listen yet, or no more. Describe it for its state.")
	}
	return &model.GetBootstrapBrokersOutput{
		BootstrapBrokerString:          hosts(at, clusters.Plaintext),
		BootstrapBrokerStringTls:       hosts(at, clusters.TLS, clusters.MutualTLS),
		BootstrapBrokerStringSaslScram: hosts(at, clusters.Scram),
		BootstrapBrokerStringSaslIam:   hosts(at, clusters.IAM),
	}, nil
}

// endpoints are where the caller reaches a cluster.
func (d *Door) endpoints(ctx context.Context, r *catalog.Resource) []clusters.Endpoint {
	at := d.clusters.Endpoints(r)
	for i := range at {
		at[i].Host = cmp.Or(at[i].Host, awsapi.CallerFrom(ctx).LocalIP, "127.0.0.1")
	}
	return at
}

// hosts are the brokers of some kinds, as a client takes them.
func hosts(at []clusters.Endpoint, kinds ...clusters.Kind) (out opt.V[string]) {
	for _, e := range at {
		if !slices.Contains(kinds, e.Kind) {
			continue
		}
		if out.Set {
			out.V += ","
		}
		out = opt.Of(out.V + net.JoinHostPort(e.Host, strconv.Itoa(e.Port)))
	}
	return out
}
