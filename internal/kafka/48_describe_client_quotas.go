package kafka

import (
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// DescribeClientQuotas
//
// Tells the quotas of the users, client ids and addresses that a filter chooses.
//
// Errors: INVALID_REQUEST, UNSUPPORTED_VERSION for a kind of entity that there is
// not, CLUSTER_AUTHORIZATION_FAILED.
//
// Status: done
func (d *Door) describeQuotas(_ *request, in *kmsg.DescribeClientQuotasRequest) (*kmsg.DescribeClientQuotasResponse, error) {
	resp := kmsg.NewPtrDescribeClientQuotasResponse()
	if err := checkQuotaFilter(in.Components); err != nil {
		resp.ErrorCode, resp.ErrorMessage = code(err), message(err)
		return resp, nil
	}
	resp.ErrorMessage = new(string) // as Apache Kafka has it
	entities, rates := d.opts.Security.Quotas()
	for i, e := range entities {
		if !quotaMatches(in, e) {
			continue
		}
		out := kmsg.NewDescribeClientQuotasResponseEntry()
		for _, p := range partsOfEntity(e) {
			out.Entity = append(out.Entity, kmsg.DescribeClientQuotasResponseEntryEntity{Type: p.kind, Name: p.name()})
		}
		for _, key := range slices.Sorted(maps.Keys(rates[i])) {
			out.Values = append(out.Values, kmsg.DescribeClientQuotasResponseEntryValue{Key: key, Value: rates[i][key]})
		}
		resp.Entries = append(resp.Entries, out)
	}
	return resp, nil
}

// Kinds of an entity's parts.
const (
	quotaUser   = "user"
	quotaClient = "client-id"
	quotaIP     = "ip"
)

// quotaPart is a part of an entity with its kind.
type quotaPart struct {
	kind string
	brokers.QuotaPart
}

func (p quotaPart) name() *string {
	if p.Of != brokers.QuotaOfName {
		return nil
	}
	return &p.Name
}

// partsOfEntity are those that are there.
func partsOfEntity(e brokers.QuotaEntity) []quotaPart {
	return slices.DeleteFunc([]quotaPart{{quotaClient, e.Client}, {quotaUser, e.User}, {quotaIP, e.IP}},
		func(p quotaPart) bool { return p.Of == brokers.QuotaOfNone })
}

func checkQuotaFilter(list []kmsg.DescribeClientQuotasRequestComponent) *brokers.Error {
	seen := map[string]bool{}
	for _, c := range list {
		switch {
		case c.EntityType != quotaUser && c.EntityType != quotaClient && c.EntityType != quotaIP:
			return refuse(brokers.UnsupportedVersion, "Unsupported entity type "+c.EntityType)
		case seen[c.EntityType]:
			return refuse(brokers.InvalidRequest, "Entity type "+c.EntityType+" cannot appear more than once in the filter.")
		case c.MatchType < kmsg.QuotasMatchTypeExact || c.MatchType > kmsg.QuotasMatchTypeAny:
			return refuse(brokers.InvalidRequest, fmt.Sprintf("Unknown match type %d", c.MatchType))
		case c.MatchType == kmsg.QuotasMatchTypeExact && c.Match == nil:
			return refuse(brokers.InvalidRequest, "Request specified MATCH_TYPE_EXACT, but set match string to null.")
		case c.MatchType != kmsg.QuotasMatchTypeExact && c.Match != nil:
			return refuse(brokers.InvalidRequest, fmt.Sprintf("Request specified match type %d, but also specified a match string.", c.MatchType))
		}
		seen[c.EntityType] = true
	}
	if seen[quotaIP] && len(seen) > 1 {
		return refuse(brokers.InvalidRequest, "Invalid entity filter component combination. IP filter component should not be used with user or clientId filter component.")
	}
	return nil
}

// quotaMatches tells whether a filter chooses an entity: by each of its
// components, and if it is strict by nothing else.
func quotaMatches(in *kmsg.DescribeClientQuotasRequest, e brokers.QuotaEntity) bool {
	parts := partsOfEntity(e)
	for _, c := range in.Components {
		i := slices.IndexFunc(parts, func(p quotaPart) bool { return p.kind == c.EntityType })
		if i < 0 {
			return false
		}
		p := parts[i]
		parts = slices.Delete(parts, i, i+1)
		switch {
		case c.MatchType == kmsg.QuotasMatchTypeExact && (p.Of != brokers.QuotaOfName || p.Name != *c.Match),
			c.MatchType == kmsg.QuotasMatchTypeDefault && p.Of != brokers.QuotaOfDefault:
			return false
		}
	}
	return !in.Strict || len(parts) == 0
}
