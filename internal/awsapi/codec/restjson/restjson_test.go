package restjson

import (
	"net/url"
	"testing"

	"thalweg/internal/awsapi/codec"
)

func TestTemplate(t *testing.T) {
	tmpl := ParseTemplate("/v1/clusters/{clusterArn}/topics/{topicName}")
	for path, want := range map[string][]string{
		"/v1/clusters/arn%3Aaws%3Akafka%3Ar%3A1%3Acluster%2Fa%2F1/topics/t%20x": {"arn:aws:kafka:r:1:cluster/a/1", "t x"},
		"/v1/clusters/arn:aws:kafka/topics/t":                                   {"arn:aws:kafka", "t"},
		"/v1/clusters/a/topics":                                                 nil,
		"/v1/clusters/a/topics/":                                                nil,
		"/v1/clusters/a/topics/t/":                                              nil,
		"/v1/clusters//topics/t":                                                nil,
		"/v1/Clusters/a/topics/t":                                               nil,
		"/v1/clusters/%zz/topics/t":                                             nil,
		"/":                                                                     nil,
		"":                                                                      nil,
	} {
		labels, ok := tmpl.Match(path)
		if ok != (want != nil) {
			t.Errorf("%s: %v", path, ok)
			continue
		}
		for i, v := range want {
			if labels[i].Value != v {
				t.Errorf("%s: label %s is %q, want %q", path, labels[i].Name, labels[i].Value, v)
			}
		}
	}
}

func TestText(t *testing.T) {
	r := &Request{Labels: []Label{{"revision", "7"}}, Query: url.Values{
		"max": {"2147483648"}, "tagKeys": {"a", "b"}, "empty": {""}, "since": {"2026-01-02T03:04:05Z"}, "yes": {"true"},
	}}
	if v := r.Label("revision").Long(); v.V != 7 || !v.Set {
		t.Errorf("%+v", v)
	}
	if r.Label("other").String().Set || r.Param("other").Int().Set || r.Param("other").Strings() != nil {
		t.Error("something came of nothing")
	}
	if got := r.Param("tagKeys").Strings(); len(got) != 2 {
		t.Errorf("%v", got)
	}
	if v := r.Param("empty").String(); v.V != "" || !v.Set {
		t.Errorf("%+v", v)
	}
	if v := r.Param("since").Time(codec.TimeISO8601); v.V.Unix() != 1767323045 {
		t.Errorf("%+v", v)
	}
	if v := r.Param("yes").Bool(); !v.V || r.Err != nil {
		t.Errorf("%+v %v", v, r.Err)
	}
	if r.Param("max").Int().Set || r.Err == nil || r.Err.Msg != "class java.lang.String can not be converted to an Integer" {
		t.Errorf("an integer beyond 32 bits: %v", r.Err)
	}
}
