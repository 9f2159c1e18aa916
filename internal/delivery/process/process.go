// Package process is what happens to records between source and destination: the
// stages of a stream's ProcessingConfiguration, in the order in which AWS has them
// whatever the order of the configuration.
//
//	aggregates of the KPL   taken apart, when the source is a stream
//	Decompression           GZIP
//	CloudWatchLogProcessing the messages of CloudWatch Logs' subscriptions
//	RecordDeAggregation     JSON or DELIMITED, to 500 records of one
//	Lambda                  package lambda
//	MetadataExtraction      package jq: the keys of dynamic partitioning
//	AppendDelimiterToRecord at the end
//
// RecordValidation, which no API knows, is before the last: channels take JSON or text only
// where they say so.
//
// Source: the developer guide on the order ("Deaggregation, Data Transformation via
// Lambda, Partitioning Keys") and on each processor; the model for the bound of 500.
// What comes of a record depends on the record alone, but for Lambda's part.
package process

import (
	"encoding/json"
	"slices"
	"strings"

	"thalweg/internal/delivery/dest"
	"thalweg/internal/delivery/process/jq"
	"thalweg/internal/delivery/process/lambda"
	"thalweg/internal/errs"
)

// MaxParts is how many records are made of one by de-aggregation; one that would be
// more is left as it is.
const MaxParts = 500

// configuration is what is needed of a destination's description.
type configuration struct {
	ProcessingConfiguration struct {
		Enabled    bool
		Processors []processor
	}
	DynamicPartitioningConfiguration struct{ Enabled bool }
	// CatalogConfiguration tells a destination of tables, for which a query says which one.
	CatalogConfiguration *json.RawMessage
}

type processor struct {
	Type       string
	Parameters []struct{ ParameterName, ParameterValue string }
}

// parameter is the value of a parameter, or otherwise.
func (p processor) parameter(name, otherwise string) string {
	for _, q := range p.Parameters {
		if q.ParameterName == name {
			return q.ParameterValue
		}
	}
	return otherwise
}

// order is that of the stages; a processor that is not in it is none.
var order = []string{
	"Decompression", "CloudWatchLogProcessing", "RecordDeAggregation", "Lambda", "MetadataExtraction", RecordValidation, "AppendDelimiterToRecord",
}

// Check refuses a destination's configuration that [Open] could not make stages of.
func Check(c dest.Config) error {
	_, err := compile(c, dest.Env{}, nil)
	return err
}

// Open makes the stages of a destination's configuration. Functions may be nil where
// none are to be called.
func Open(c dest.Config, e dest.Env, functions *lambda.Functions) ([]dest.Processor, error) {
	return compile(c, e, functions)
}

func compile(c dest.Config, e dest.Env, functions *lambda.Functions) (stages []dest.Processor, err error) {
	var all configuration
	if err := json.Unmarshal(c, &all); err != nil {
		return nil, errs.Wrap(errs.Invalid, "read the processing configuration", err)
	}
	if strings.Contains(e.Stream.SourceARN, ":kinesis:") {
		stages = append(stages, aggregates{})
	}
	byType := map[string]processor{}
	if all.ProcessingConfiguration.Enabled {
		for _, p := range all.ProcessingConfiguration.Processors {
			if !slices.Contains(order, p.Type) {
				return nil, invalid("Processor type " + p.Type + " is not supported")
			}
			if _, twice := byType[p.Type]; twice {
				return nil, invalid("Only one processor of type " + p.Type + " is allowed")
			}
			byType[p.Type] = p
		}
	}
	if err := checkTogether(byType, all.DynamicPartitioningConfiguration.Enabled || all.CatalogConfiguration != nil); err != nil {
		return nil, err
	}
	for _, name := range order {
		p, there := byType[name]
		if !there {
			continue
		}
		stage, err := open(p, e, functions)
		if err != nil {
			return nil, err
		}
		if stage != nil {
			stages = append(stages, stage)
		}
	}
	return stages, nil
}

func checkTogether(byType map[string]processor, partitioned bool) error {
	_, decompressed := byType["Decompression"]
	_, extracted := byType["CloudWatchLogProcessing"]
	_, queried := byType["MetadataExtraction"]
	switch {
	case extracted && !decompressed:
		return invalid("CloudWatchLogProcessing needs a Decompression processor")
	case queried && !partitioned:
		return invalid("MetadataExtraction needs dynamic partitioning to be enabled")
	}
	return nil
}

func open(p processor, e dest.Env, functions *lambda.Functions) (dest.Processor, error) {
	switch p.Type {
	case "Decompression":
		if f := p.parameter("CompressionFormat", ""); f != "GZIP" {
			return nil, invalid("CompressionFormat must be GZIP")
		}
		return decompression{}, nil
	case "CloudWatchLogProcessing":
		switch p.parameter("DataMessageExtraction", "") {
		case "true":
			return extraction{}, nil
		case "false":
			return nil, nil
		}
		return nil, invalid("DataMessageExtraction must be true or false")
	case "RecordDeAggregation":
		return openSplit(p)
	case "Lambda":
		return lambda.Open(p.parameter, e, functions)
	case "MetadataExtraction":
		if engine := p.parameter("JsonParsingEngine", ""); engine != "JQ-1.6" {
			return nil, invalid("JsonParsingEngine must be JQ-1.6")
		}
		q, err := jq.Compile(p.parameter("MetadataExtractionQuery", ""))
		return partitioning{q}, err
	}
	if p.Type == RecordValidation {
		return openValidation(p)
	}
	return delimiter(unescape(p.parameter("Delimiter", `\n`))), nil
}

func invalid(message string) error { return errs.New(errs.Invalid, message) }
