package kafka

import (
	"github.com/twmb/franz-go/pkg/kversion"

	"thalweg/internal/errs"
)

// apisOf are the APIs of a release of Apache Kafka, such as 3.9: those of apis that
// it has, in no version that it has not. "" is all of them. What only older
// releases have is not there: a client of theirs is none of a release that is.
func apisOf(release string) ([]api, error) {
	all := apis()
	if release == "" {
		return all, nil
	}
	versions := kversion.FromString("v" + release)
	if versions == nil {
		return nil, errs.New(errs.Invalid, "there is no release "+release+" of Apache Kafka")
	}
	hidden := map[int16]bool{} // of features that the release does not have
	for _, f := range features() {
		if most, _ := versions.LookupMaxKeyVersion(f.key); most < f.version {
			for _, key := range f.only {
				hidden[key] = true
			}
		}
	}
	out := all[:0]
	for _, a := range all {
		most, has := versions.LookupMaxKeyVersion(a.key)
		if a.max = min(a.max, most); has && !hidden[a.key] && a.max >= a.served() {
			out = append(out, a)
		}
	}
	return out, nil
}

// features are those of the door's APIs.
func (d *Door) features() []feature {
	var out []feature
	for _, f := range features() {
		if a := d.api(f.key); a != nil && a.max >= f.version {
			out = append(out, f)
		}
	}
	return out
}
