package firehose

import (
	stdjson "encoding/json"
	"strings"

	"thalweg/internal/awsapi/codec"
	"thalweg/internal/awsapi/codec/json"
	model "thalweg/internal/awsapi/model/firehose"
	"thalweg/internal/delivery"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/errs"
)

// shape is a structure of the model that can be written.
type shape interface{ Encode(codec.Encoder) }

// kind is a kind of destination in the shapes of the API.
type kind struct {
	// name is the stem of its shapes' names.
	name string
	// config and update give the shape in an input, nil if it is not there.
	config func(*model.CreateDeliveryStreamInput) shape
	update func(*model.UpdateDestinationInput) shape
	// describe decodes a configuration into a description.
	describe func(*model.DestinationDescription, codec.Decoder)
}

// kinds are all kinds of the API. The legacy S3 destination is an ExtendedS3 that
// says less; both are described as both, as AWS does.
var kinds = []kind{
	{"ExtendedS3",
		func(in *model.CreateDeliveryStreamInput) shape {
			return present(in.ExtendedS3DestinationConfiguration)
		},
		func(in *model.UpdateDestinationInput) shape { return present(in.ExtendedS3DestinationUpdate) },
		func(out *model.DestinationDescription, d codec.Decoder) {
			out.ExtendedS3DestinationDescription = codec.Struct[model.ExtendedS3DestinationDescription](d)
		}},
	{"ExtendedS3",
		func(in *model.CreateDeliveryStreamInput) shape { return present(in.S3DestinationConfiguration) },
		func(in *model.UpdateDestinationInput) shape { return present(in.S3DestinationUpdate) },
		func(out *model.DestinationDescription, d codec.Decoder) {
			out.S3DestinationDescription = codec.Struct[model.S3DestinationDescription](d)
		}},
	{"HttpEndpoint",
		func(in *model.CreateDeliveryStreamInput) shape {
			return present(in.HttpEndpointDestinationConfiguration)
		},
		func(in *model.UpdateDestinationInput) shape {
			return present(in.HttpEndpointDestinationUpdate)
		},
		func(out *model.DestinationDescription, d codec.Decoder) {
			out.HttpEndpointDestinationDescription = codec.Struct[model.HttpEndpointDestinationDescription](d)
		}},
	{"Redshift",
		func(in *model.CreateDeliveryStreamInput) shape {
			return present(in.RedshiftDestinationConfiguration)
		},
		func(in *model.UpdateDestinationInput) shape {
			return present(in.RedshiftDestinationUpdate)
		},
		func(out *model.DestinationDescription, d codec.Decoder) {
			out.RedshiftDestinationDescription = codec.Struct[model.RedshiftDestinationDescription](d)
		}},
	{"Elasticsearch",
		func(in *model.CreateDeliveryStreamInput) shape {
			return present(in.ElasticsearchDestinationConfiguration)
		},
		func(in *model.UpdateDestinationInput) shape {
			return present(in.ElasticsearchDestinationUpdate)
		},
		func(out *model.DestinationDescription, d codec.Decoder) {
			out.ElasticsearchDestinationDescription = codec.Struct[model.ElasticsearchDestinationDescription](d)
		}},
	{"Amazonopensearchservice",
		func(in *model.CreateDeliveryStreamInput) shape {
			return present(in.AmazonopensearchserviceDestinationConfiguration)
		},
		func(in *model.UpdateDestinationInput) shape {
			return present(in.AmazonopensearchserviceDestinationUpdate)
		},
		func(out *model.DestinationDescription, d codec.Decoder) {
			out.AmazonopensearchserviceDestinationDescription = codec.Struct[model.AmazonopensearchserviceDestinationDescription](d)
		}},
	{"AmazonOpenSearchServerless",
		func(in *model.CreateDeliveryStreamInput) shape {
			return present(in.AmazonOpenSearchServerlessDestinationConfiguration)
		},
		func(in *model.UpdateDestinationInput) shape {
			return present(in.AmazonOpenSearchServerlessDestinationUpdate)
		},
		func(out *model.DestinationDescription, d codec.Decoder) {
			out.AmazonOpenSearchServerlessDestinationDescription = codec.Struct[model.AmazonOpenSearchServerlessDestinationDescription](d)
		}},
	{"Splunk",
		func(in *model.CreateDeliveryStreamInput) shape {
			return present(in.SplunkDestinationConfiguration)
		},
		func(in *model.UpdateDestinationInput) shape {
			return present(in.SplunkDestinationUpdate)
		},
		func(out *model.DestinationDescription, d codec.Decoder) {
			out.SplunkDestinationDescription = codec.Struct[model.SplunkDestinationDescription](d)
		}},
	{"Snowflake",
		func(in *model.CreateDeliveryStreamInput) shape {
			return present(in.SnowflakeDestinationConfiguration)
		},
		func(in *model.UpdateDestinationInput) shape {
			return present(in.SnowflakeDestinationUpdate)
		},
		func(out *model.DestinationDescription, d codec.Decoder) {
			out.SnowflakeDestinationDescription = codec.Struct[model.SnowflakeDestinationDescription](d)
		}},
	{"Iceberg",
		func(in *model.CreateDeliveryStreamInput) shape {
			return present(in.IcebergDestinationConfiguration)
		},
		func(in *model.UpdateDestinationInput) shape {
			return present(in.IcebergDestinationUpdate)
		},
		func(out *model.DestinationDescription, d codec.Decoder) {
			out.IcebergDestinationDescription = codec.Struct[model.IcebergDestinationDescription](d)
		}},
}

// present is p as a shape, nil if it is nil.
func present[T any, P interface {
	*T
	shape
}](p P) shape {
	if p == nil {
		return nil
	}
	return p
}

// described are the names by which descriptions call members of other shapes.
var described = map[string]string{
	"S3Configuration": "S3DestinationDescription", "S3Update": "S3DestinationDescription",
	"S3BackupConfiguration": "S3BackupDescription", "S3BackupUpdate": "S3BackupDescription",
	"VpcConfiguration": "VpcConfigurationDescription",
}

// document is a shape as the domain keeps it.
func document(s shape) (dest.Config, error) {
	var e json.Encoder
	s.Encode(&e)
	var members map[string]stdjson.RawMessage
	if err := stdjson.Unmarshal(e.Bytes(), &members); err != nil {
		return nil, err
	}
	for from, to := range described {
		if v, ok := members[from]; ok {
			delete(members, from)
			members[to] = v
		}
	}
	return stdjson.Marshal(members)
}

// errOneDestination is AWS's text for none and for more than one.
var errOneDestination error = errs.New(errs.Invalid, "Exactly one destination configuration is supported for a Firehose")

// configured is the one destination of a creation.
func configured(in *model.CreateDeliveryStreamInput) (name string, c dest.Config, err error) {
	return only(func(k *kind) shape { return k.config(in) })
}

// updated is the one destination of an update.
func updated(in *model.UpdateDestinationInput) (name string, c dest.Config, err error) {
	return only(func(k *kind) shape { return k.update(in) })
}

func only(of func(*kind) shape) (name string, c dest.Config, err error) {
	var found shape
	for i := range kinds {
		s := of(&kinds[i])
		if s == nil {
			continue
		}
		if found != nil {
			return "", nil, errOneDestination
		}
		found, name = s, kinds[i].name
	}
	if found == nil {
		return "", nil, errOneDestination
	}
	c, err = document(found)
	return name, c, err
}

// patched is old with an update: what that does not say stays as it was, in the
// buckets within a configuration, too.
func patched(old, patch dest.Config) (dest.Config, error) {
	return delivery.Merge(old, patch, func(name string) bool { return strings.HasPrefix(name, "S3") })
}

// describe is a configuration as the API describes it.
func describe(name string, c dest.Config) model.DestinationDescription {
	var out model.DestinationDescription
	for i := range kinds {
		if kinds[i].name == name {
			kinds[i].describe(&out, json.NewDecoder(c))
		}
	}
	return out
}
