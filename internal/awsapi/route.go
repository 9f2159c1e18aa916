package awsapi

import (
	"net/http"
	"strings"

	"thalweg/internal/awsapi/codec/restjson"
)

// router finds the operation a request means.
type router struct {
	targets map[string]route // X-Amz-Target -> operation
	// prefixes are the services by what stands before the dot of a target.
	prefixes map[string]*Service
	rest     []*Service
	signing  map[string][]*Service
	hosts    map[string][]*Service
}

// route is an operation of a service, with the labels of its path.
type route struct {
	service *Service
	op      *Op
	labels  []restjson.Label
}

func newRouter(services []*Service) (*router, error) {
	rt := &router{
		targets: map[string]route{}, prefixes: map[string]*Service{},
		signing: map[string][]*Service{}, hosts: map[string][]*Service{},
	}
	for _, s := range services {
		if err := s.check(); err != nil {
			return nil, err
		}
		rt.signing[s.SigningName] = append(rt.signing[s.SigningName], s)
		for _, h := range s.HostPrefixes {
			rt.hosts[h] = append(rt.hosts[h], s)
		}
		switch s.Protocol {
		case RESTJSON:
			rt.rest = append(rt.rest, s)
		case AWSJSON:
			rt.prefixes[s.TargetPrefix] = s
		}
		for _, op := range s.Ops {
			switch s.Protocol {
			case RESTJSON:
				op.path = restjson.ParseTemplate(op.Path)
			case AWSJSON:
				rt.targets[s.TargetPrefix+"."+op.Name] = route{service: s, op: op}
			}
		}
	}
	return rt, nil
}

// find returns the route of a request. Without one, the service it belongs to is
// returned when it can be told.
//
// A target decides alone. Otherwise the service is that of the signature's scope,
// else of the host's name, else any whose paths fit; AWS ignores host and path of
// the services with targets (kinesalite index.js).
func (rt *router) find(r *http.Request) (found route, belongs *Service) {
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		if r.Method != http.MethodPost {
			return route{}, nil
		}
		if to, ok := rt.targets[target]; ok {
			return to, to.service
		}
		prefix, _, _ := strings.Cut(target, ".")
		return route{}, rt.prefixes[prefix]
	}
	if r.Header.Get(rpcHeader) == rpcV2 {
		return rt.rpc(r)
	}
	candidates := rt.signing[scopeService(r)]
	if candidates == nil {
		candidates = rt.byHost(r.Host)
	}
	if len(candidates) == 1 {
		belongs = candidates[0]
	}
	if candidates == nil {
		candidates = rt.rest
	}
	if found = match(candidates, r); found.op != nil {
		belongs = found.service
	}
	return found, belongs
}

// rpcHeader is how Smithy's RPC protocols name themselves.
const (
	rpcHeader = "Smithy-Protocol"
	rpcV2     = "rpc-v2-cbor"
)

// rpc finds the operation of /service/SERVICE/operation/OPERATION.
func (rt *router) rpc(r *http.Request) (found route, belongs *Service) {
	service, op, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/service/"), "/operation/")
	belongs = rt.prefixes[service]
	if !ok || r.Method != http.MethodPost || belongs == nil || !belongs.RPC {
		return route{}, nil
	}
	return rt.targets[service+"."+op], belongs
}

// match returns the only route among the candidates that fits method and path.
func match(candidates []*Service, r *http.Request) (found route) {
	path := r.URL.EscapedPath()
	for _, s := range candidates {
		if s.Protocol != RESTJSON {
			continue
		}
		for _, op := range s.Ops {
			if op.Method != r.Method {
				continue
			}
			labels, ok := op.path.Match(path)
			if !ok {
				continue
			}
			if found.op != nil && found.service != s {
				return route{} // two services could be meant
			}
			if found.op == nil || len(labels) < len(found.labels) {
				found = route{service: s, op: op, labels: labels}
			}
		}
	}
	return found
}

// byHost returns the services of an AWS host name, such as
// kafka.us-east-1.amazonaws.com or 000000000000.data-kinesis.us-east-1.api.aws.
func (rt *router) byHost(host string) []*Service {
	host, _, _ = strings.Cut(host, ":")
	if !strings.HasSuffix(host, ".amazonaws.com") && !strings.HasSuffix(host, ".amazonaws.com.cn") && !strings.HasSuffix(host, ".api.aws") {
		return nil
	}
	for label := range strings.SplitSeq(host, ".") {
		if s := rt.hosts[strings.TrimSuffix(label, "-fips")]; s != nil {
			return s
		}
	}
	return nil
}

// scopeService returns the service in the credential scope of a signature, in
// header or query; it is a hint for routing, verified by Auth later.
func scopeService(r *http.Request) string {
	auth := r.Header.Get("Authorization")
	_, credential, ok := strings.Cut(auth, "Credential=")
	if !ok {
		if !strings.Contains(r.URL.RawQuery, "X-Amz-Credential=") {
			return ""
		}
		credential = r.URL.Query().Get("X-Amz-Credential")
	}
	if end := strings.IndexAny(credential, ", "); end >= 0 {
		credential = credential[:end]
	}
	parts := strings.Split(credential, "/")
	if len(parts) < 5 { // the access key itself may hold slashes
		return ""
	}
	return parts[len(parts)-2]
}
