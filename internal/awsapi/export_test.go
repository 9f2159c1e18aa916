package awsapi

import "net/http"

// RouteAndDecode takes a request through the pipeline as far as its input, for
// tests that compare inputs with recorded requests.
func (s *Server) RouteAndDecode(r *http.Request) (*Service, *Op, Input, error) {
	x := &exchange{srv: s, r: r}
	var belongs *Service
	x.route, belongs = s.router.find(r)
	if x.route.op == nil || !x.setFormat(belongs) {
		return nil, nil, nil, errUnknownOperation()
	}
	if err := x.read(x.route.service, x.route.op); err != nil {
		return nil, nil, nil, err
	}
	in, err := x.decode(x.route.op)
	return x.route.service, x.route.op, in, err
}
