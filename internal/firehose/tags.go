package firehose

import (
	"fmt"
	"strings"

	model "thalweg/internal/awsapi/model/firehose"
	"thalweg/internal/limits"
	"thalweg/internal/streams"
)

// tagsOf reads tags. Of a key that comes twice AWS says that it is wrong.
func tagsOf(in []model.Tag) (map[string]string, error) {
	if len(in) == 0 {
		return nil, nil
	}
	out := make(map[string]string, len(in))
	for _, t := range in {
		key := t.Key.V
		if strings.HasPrefix(strings.ToLower(key), "aws:") {
			return nil, model.NewInvalidArgumentException("Tag keys can't start with aws: " + key)
		}
		if _, twice := out[key]; twice {
			return nil, model.NewInvalidArgumentException(fmt.Sprintf("Duplicate tag key %s", key))
		}
		if _, ok := limits.ParseMode(t.Value.V); key == streams.LimitsTag && !ok {
			return nil, model.NewInvalidArgumentException("The value of the tag " + key + " must be one of off, warn, aws.")
		}
		out[key] = t.Value.V
	}
	return out, nil
}
