package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// ApiVersions
//
// Tells which keys and versions are served, from the table that serves them. A
// version that is newer than the server is answered in version 0 with
// UNSUPPORTED_VERSION, so that any client can read it and ask again.
//
// Features are finalised for what clients decide on by them: transaction.version 2
// is KIP-890, share.version 1 share groups without dead-letter queues. Those of brokers
// among themselves are not.
//
// Errors: INVALID_REQUEST for a client that names itself with other characters
// than the protocol allows, or a cluster without a broker; REBOOTSTRAP_REQUIRED
// for one that takes this broker for another (KIP-1242).
//
// Status: done
func (d *Door) apiVersions(r *request, in *kmsg.ApiVersionsRequest) (*kmsg.ApiVersionsResponse, error) {
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.FinalizedFeaturesEpoch = -1
	switch {
	case in.Version >= 3 && !(softwareName(in.ClientSoftwareName) && softwareName(in.ClientSoftwareVersion)),
		in.Version >= 5 && (in.ClusterID == nil) != (in.NodeID == -1):
		resp.ErrorCode = int16(brokers.InvalidRequest)
		return resp, nil
	case in.Version >= 5 && in.ClusterID != nil && (*in.ClusterID != d.cluster.ID() || in.NodeID != r.conn.at.Broker):
		resp.ErrorCode = int16(brokers.RebootstrapRequired)
		return resp, nil
	}
	for i := range d.apis {
		k := kmsg.NewApiVersionsResponseApiKey()
		k.ApiKey, k.MinVersion, k.MaxVersion = d.apis[i].key, d.apis[i].min, d.apis[i].max
		resp.ApiKeys = append(resp.ApiKeys, k)
	}
	resp.FinalizedFeaturesEpoch = featuresEpoch
	for _, f := range d.features() {
		if in.Version >= 4 { // clients of version 3 take no feature that begins with 0 (KAFKA-17011)
			resp.SupportedFeatures = append(resp.SupportedFeatures, kmsg.ApiVersionsResponseSupportedFeature{Name: f.name, MaxVersion: f.level})
		}
		resp.FinalizedFeatures = append(resp.FinalizedFeatures, kmsg.ApiVersionsResponseFinalizedFeature{Name: f.name, MinVersionLevel: f.level, MaxVersionLevel: f.level})
	}
	return resp, nil
}

// featuresEpoch tells clients that features have not changed: they do not.
const featuresEpoch = 1

// feature is one that is supported from level 0 and finalised at level, where that
// version of an API is served. Without it there are no APIs that only it has.
type feature struct {
	name         string
	level        int16
	key, version int16
	only         []int16
}

func features() []feature {
	return []feature{{"group.version", 1, 68, 1, []int16{68, 69}}, {"share.version", 1, 78, 1, []int16{76, 77, 78, 79, 90, 91, 92}}, {"transaction.version", 2, 26, 5, nil}}
}

// softwareName tells whether s is of [a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?
// (KIP-511).
func softwareName(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case (c == '-' || c == '.') && i > 0 && i < len(s)-1:
		default:
			return false
		}
	}
	return s != ""
}

// apiVersionsTooNew is the answer to a version that is not known.
func (d *Door) apiVersionsTooNew() *kmsg.ApiVersionsResponse {
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.ErrorCode = int16(brokers.UnsupportedVersion)
	a := d.api(18)
	k := kmsg.NewApiVersionsResponseApiKey()
	k.ApiKey, k.MinVersion, k.MaxVersion = a.key, a.min, a.max
	resp.ApiKeys = append(resp.ApiKeys, k)
	return resp
}
