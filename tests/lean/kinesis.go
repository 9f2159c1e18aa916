package lean

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
)

// Record is one record to put.
type Record struct {
	Key  string
	Data []byte
}

// PutRecordBody is the JSON of a PutRecord. Keys and names must need no escape.
func PutRecordBody(stream string, r Record) []byte {
	return appendRecord(fmt.Appendf(nil, `{"StreamName":"%s",`, stream), r)
}

// PutRecordsBody is the JSON of a PutRecords.
func PutRecordsBody(stream string, records []Record) []byte {
	out := fmt.Appendf(nil, `{"StreamName":"%s","Records":[`, stream)
	for i, r := range records {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendRecord(append(out, '{'), r)
	}
	return append(out, "]}"...)
}

func appendRecord(out []byte, r Record) []byte {
	out = append(out, `"Data":"`...)
	out = base64.StdEncoding.AppendEncode(out, r.Data)
	out = append(out, `","PartitionKey":"`...)
	out = append(out, r.Key...)
	return append(out, `"}`...)
}

// GetRecordsBody is the JSON of a GetRecords; limit 0 leaves it out.
func GetRecordsBody(iterator string, limit int) []byte {
	if limit == 0 {
		return fmt.Appendf(nil, `{"ShardIterator":"%s"}`, iterator)
	}
	return fmt.Appendf(nil, `{"ShardIterator":"%s","Limit":%d}`, iterator, limit)
}

// Put is the answer for one record; its fields have the wire's names.
type Put struct {
	ShardId        string
	SequenceNumber string
	ErrorCode      string
	ErrorMessage   string
}

// Puts is the answer to a PutRecords.
type Puts struct {
	FailedRecordCount int
	Records           []Put
}

// WireError is an answer other than 200.
type WireError struct {
	Status  int
	Code    string `json:"__type"`
	Message string `json:"message"`
}

func (e *WireError) Error() string {
	return fmt.Sprintf("%d %s: %s", e.Status, e.Code, e.Message)
}

// Call sends a request and decodes the answer's JSON into out (nil: nothing).
// An answer other than 200 is a *WireError.
func (c *Conn) Call(request []byte, out any) error {
	r, err := c.Do(request)
	if err != nil {
		return err
	}
	if r.Status != 200 {
		e := &WireError{Status: r.Status}
		if json.Unmarshal(r.Body, e) != nil {
			e.Message = string(r.Body)
		}
		e.Status = r.Status
		return e
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(r.Body, out)
}

// Page is what a drain needs of an answer to GetRecords, found without parsing
// the records. Next is valid until the connection's next call.
type Page struct {
	Next    []byte
	Records int
	AtTip   bool
}

// ScanPage reads a Page out of an answer to GetRecords.
func ScanPage(body []byte) (Page, error) {
	const next = `"NextShardIterator":"`
	at := bytes.LastIndex(body, []byte(next))
	if at < 0 {
		return Page{}, fmt.Errorf("no next iterator in %.200q", body)
	}
	rest := body[at+len(next):]
	end := bytes.IndexByte(rest, '"')
	if end < 0 {
		return Page{}, fmt.Errorf("no end of the next iterator in %.200q", rest)
	}
	return Page{
		Next:    rest[:end],
		Records: bytes.Count(body, []byte(`"SequenceNumber"`)),
		AtTip:   bytes.Contains(body, []byte(`"MillisBehindLatest":0`)),
	}, nil
}
