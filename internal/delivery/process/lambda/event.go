package lambda

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"thalweg/internal/delivery/dest"
	"thalweg/internal/delivery/prefix"
)

// request is the event that a function is given. Its members, and which are numbers,
// are those of aws-lambda-go's events.KinesisFirehoseEvent and the Java library's.
type request struct {
	InvocationID      string   `json:"invocationId"`
	DeliveryStreamARN string   `json:"deliveryStreamArn"`
	SourceStreamARN   string   `json:"sourceKinesisStreamArn,omitempty"`
	SourceMSKARN      string   `json:"sourceMSKArn,omitempty"`
	Region            string   `json:"region"`
	Records           []record `json:"records"`
}

type record struct {
	RecordID string           `json:"recordId"`
	Arrival  int64            `json:"approximateArrivalTimestamp"`
	Data     *[]byte          `json:"data,omitempty"`
	Kinesis  *kinesisMetadata `json:"kinesisRecordMetadata,omitempty"`
	Value    *[]byte          `json:"kafkaRecordValue,omitempty"`
	MSK      *mskMetadata     `json:"mskRecordMetadata,omitempty"`
}

type kinesisMetadata struct {
	ShardID        string `json:"shardId"`
	PartitionKey   string `json:"partitionKey"`
	Arrival        int64  `json:"approximateArrivalTimestamp"`
	SequenceNumber string `json:"sequenceNumber"`
	Subsequence    int    `json:"subsequenceNumber"`
}

type mskMetadata struct {
	Offset      string `json:"offset"`
	PartitionID string `json:"partitionId"`
	Arrival     int64  `json:"approximateArrivalTimestamp"`
}

// recordID names a record within its invocation.
func recordID(r *dest.Record) string {
	if r.Sub == 0 {
		return r.ID
	}
	return r.ID + "." + strconv.Itoa(r.Sub)
}

// event makes the event of the records.
func event(s dest.Stream, in []dest.Record) ([]byte, error) {
	e := request{DeliveryStreamARN: s.ARN, Region: s.Region, Records: make([]record, len(in))}
	kinesis, msk := strings.Contains(s.SourceARN, ":kinesis:"), strings.Contains(s.SourceARN, ":kafka:")
	if kinesis {
		e.SourceStreamARN = s.SourceARN
	} else if msk {
		e.SourceMSKARN = s.SourceARN
	}
	for i := range in {
		r := &in[i]
		out := record{RecordID: recordID(r), Arrival: r.Arrival}
		data := r.Data
		if data == nil {
			data = []byte{} // null else
		}
		switch {
		case msk:
			out.Value = &data
			out.MSK = &mskMetadata{strconv.FormatInt(r.Offset, 10), strconv.Itoa(int(r.Partition.Index)), r.Arrival}
		case kinesis:
			out.Data = &data
			out.Kinesis = &kinesisMetadata{r.ShardID, r.PartitionKey, r.Arrival, r.Sequence, r.Sub}
		default:
			out.Data = &data
		}
		e.Records[i] = out
	}
	// The same records are the same invocation, whenever and however often.
	sum := sha256.Sum256([]byte(s.ARN + "\n" + e.Records[0].RecordID + "\n" + e.Records[len(in)-1].RecordID))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	e.InvocationID = fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
	return json.Marshal(e)
}

// result is what a function answers about a record.
type result struct {
	RecordID string  `json:"recordId"`
	Result   string  `json:"result"`
	Data     *string `json:"data"`
	Value    *string `json:"kafkaRecordValue"`
	Metadata struct {
		PartitionKeys map[string]string `json:"partitionKeys"`
		// Table says which table a record is for, of a destination of tables.
		Table map[string]string `json:"otfMetadata"`
	} `json:"metadata"`
}

// texts of what may be wrong with an answer. All but the last two are AWS's.
const (
	textDuplicated = "Multiple records were returned with the same record Id. Ensure that the Lambda function returns a unique record Id for each record."
	textMissing    = "One or more record Ids were not returned. Ensure that the Lambda function returns all received record Ids."
	textFailed     = "ProcessingFailed status set for record"
	textNull       = "The data field cannot be null when the SourceType is DirectPut or KinesisStreamAsSource and processing result is Ok. " +
		"The value field cannot be null when the SourceType is MSKAsSource and processing result is Ok."
	textResult = "The result field must be one of Ok, Dropped or ProcessingFailed."
	textData   = "The data field must be base64 encoded."
)

// results reads an answer, by record. An answer of any other form has no results.
func results(answer []byte) (byID map[string]result, twice map[string]bool) {
	var a struct {
		Records []json.RawMessage `json:"records"`
	}
	byID, twice = map[string]result{}, map[string]bool{}
	if json.Unmarshal(answer, &a) != nil {
		return byID, twice
	}
	for _, raw := range a.Records {
		var r result
		if json.Unmarshal(raw, &r) != nil {
			if r.RecordID == "" {
				continue
			}
			r = result{RecordID: r.RecordID} // of a wrong form: nothing of it is used
		}
		if _, there := byID[r.RecordID]; there {
			twice[r.RecordID] = true
		}
		byID[r.RecordID] = r
	}
	return byID, twice
}

// apply makes of a record what the function answered: kept tells that there is a
// record, else it is dropped, or code and message say what is wrong.
func apply(r *dest.Record, byID map[string]result, twice map[string]bool, msk bool) (kept bool, code, message string) {
	id := recordID(r)
	answer, there := byID[id]
	text := answer.Data
	if msk {
		text = answer.Value
	}
	switch {
	case !there:
		return false, "Lambda.MissingRecordId", textMissing
	case twice[id]:
		return false, "Lambda.DuplicatedRecordId", textDuplicated
	case answer.Result == "Dropped":
		return false, "", ""
	case answer.Result == "ProcessingFailed":
		return false, "Lambda.ProcessingFailedStatus", textFailed
	case answer.Result != "Ok":
		return false, "Lambda.InvalidReturnFormat", textResult
	case text == nil:
		return false, "Lambda.InvalidReturnFormat", textNull
	}
	data, err := base64.StdEncoding.DecodeString(*text)
	if err != nil {
		return false, "Lambda.InvalidReturnFormat", textData
	}
	r.Data = data
	if len(answer.Metadata.PartitionKeys)+len(answer.Metadata.Table) > 0 {
		keys := maps.Clone(r.Keys)
		if keys == nil {
			keys = map[string]string{}
		}
		for _, more := range []map[string]string{answer.Metadata.PartitionKeys, answer.Metadata.Table} {
			for name, value := range more {
				keys[prefix.FromLambda+name] = value
			}
		}
		r.Keys = keys
	}
	return true, "", ""
}
