package lease

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/cloudwatch"
	"thalweg/internal/metrics"
)

// Bounds of PutMetricData (API reference): metrics in a request, values of one
// metric, the magnitude of a value, and how old or early its time may be.
const (
	maxMetrics = 1000
	maxValues  = 150
	maxAge     = 14 * 24 * time.Hour
	maxAhead   = 2 * time.Hour
)

// PutMetricData
//
// Adds values to metrics that the caller names. They are shown on /metrics, as
// thalweg_published_*: sum, number, least, greatest and latest since the server
// was started, of the 2,000 metrics that were published to last. They are not
// stored. Comes as a form, JSON or CBOR, and may be compressed.
//
// Errors: InvalidParameterValue, InvalidParameterCombination, MissingParameter;
// then nothing has been added.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html
//
// Status: done
// Deviation: values are summed up by metric, not kept by time; entities are checked and not shown
func (d *Metrics) PutMetricData(ctx context.Context, in *model.PutMetricDataInput) (*model.PutMetricDataOutput, error) {
	c := awsapi.CallerFrom(ctx)
	type named struct {
		path string
		data []model.MetricDatum
	}
	all := []named{{"MetricData", in.MetricData}}
	for i, e := range in.EntityMetricData {
		all = append(all, named{fmt.Sprintf("EntityMetricData.member.%d.MetricData", i+1), e.MetricData})
	}
	type publication struct {
		key     metrics.Published
		samples metrics.Samples
	}
	var list []publication
	for _, n := range all {
		for i := range n.data {
			m := &n.data[i]
			s, err := d.samples(m, fmt.Sprintf("%s.member.%d", n.path, i+1))
			if err != nil {
				return nil, err
			}
			key := metrics.Published{Account: c.Account, Region: c.Region, Namespace: in.Namespace.V, Name: m.MetricName.V,
				Unit: string(m.Unit.Or(model.StandardUnitNone)), Dimensions: dimensions(m.Dimensions)}
			list = append(list, publication{key, s})
		}
	}
	switch {
	case len(list) == 0:
		return nil, model.NewMissingRequiredParameterException("The parameter MetricData is required.")
	case len(list) > maxMetrics:
		return nil, model.NewInvalidParameterValueException("The collection MetricData must not have a size greater than 1000.")
	}
	for _, p := range list {
		d.to.Publish(p.key, p.samples)
	}
	return nil, nil
}

// dimensions are the dimensions of a metric as one text.
func dimensions(list []model.Dimension) string {
	parts := make([]string, len(list))
	for i, x := range list {
		parts[i] = x.Name.V + "=" + x.Value.V
	}
	slices.Sort(parts)
	return strings.Join(parts, ",")
}

// samples sums the values of one datum up. path names it in texts.
func (d *Metrics) samples(m *model.MetricDatum, path string) (metrics.Samples, error) {
	var s metrics.Samples
	if m.Timestamp.Set {
		switch ahead := m.Timestamp.V.Sub(d.clock.Now()); {
		case ahead > maxAhead:
			return s, model.NewInvalidParameterValueException("The parameter " + path + ".Timestamp must specify a time no more than two hours in the future.")
		case -ahead > maxAge:
			return s, model.NewInvalidParameterValueException("The parameter " + path + ".Timestamp must specify a time within the past two weeks.")
		}
	}
	ways := 0
	for _, set := range []bool{m.Value.Set, m.StatisticValues != nil, m.Values != nil} {
		if set {
			ways++
		}
	}
	switch {
	case ways == 0:
		return s, model.NewMissingRequiredParameterException("At least one of the parameters must be specified: " + path + ".Value, " +
			path + ".Values, " + path + ".StatisticValues.")
	case ways > 1:
		return s, model.NewInvalidParameterCombinationException("The parameters " + path + ".Value, " + path + ".Values and " + path +
			".StatisticValues are mutually exclusive and you have specified more than one.")
	case m.Counts != nil && len(m.Counts) != len(m.Values):
		return s, model.NewInvalidParameterValueException("The parameters " + path + ".Values and " + path + ".Counts must be of the same size.")
	case len(m.Values) > maxValues:
		return s, model.NewInvalidParameterValueException("The collection " + path + ".Values must not have a size greater than 150.")
	}
	values, counts := m.Values, m.Counts
	if m.Value.Set {
		values = []float64{m.Value.V}
	}
	var parts []float64
	if v := m.StatisticValues; v != nil {
		s = metrics.Samples{Count: v.SampleCount.V, Sum: v.Sum.V, Min: v.Minimum.V, Max: v.Maximum.V}
		parts = []float64{s.Count, s.Sum, s.Min, s.Max}
	} else {
		s.Min, s.Max = math.Inf(1), math.Inf(-1)
		for i, v := range values {
			n := 1.0
			if counts != nil {
				n = counts[i]
			}
			s.Count, s.Sum, s.Min, s.Max = s.Count+n, s.Sum+n*v, min(s.Min, v), max(s.Max, v)
			parts = append(parts, v, n)
		}
	}
	for _, v := range parts {
		if math.IsNaN(v) || math.Abs(v) > 0x1p360 {
			return s, model.NewInvalidParameterValueException("The value " + fmt.Sprint(v) + " for parameter " + path +
				" is not supported: it must be between -2^360 and 2^360.")
		}
	}
	return s, nil
}
