package cli

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"thalweg/internal/client"
	"thalweg/internal/ids"
	"thalweg/internal/kpl"
)

// printer prints pages of several shards, record by record; the user records of
// an aggregate one by one, unless raw.
type printer struct {
	mu      sync.Mutex
	out     *bufio.Writer
	json    bool
	raw     bool
	ranges  map[string]ids.Range // by shard
	bounded bool
	left    int64 // when bounded
}

type tailRecord struct {
	Shard    string `json:"shard"`
	Sequence string `json:"sequence_number"`
	// SubSequence is set for a user record of an aggregate.
	SubSequence *int      `json:"sub_sequence_number,omitempty"`
	Key         string    `json:"partition_key"`
	HashKey     string    `json:"explicit_hash_key,omitempty"`
	Arrival     time.Time `json:"arrival"`
	// Data is set for text, DataBase64 for anything else.
	Data       *string `json:"data,omitempty"`
	DataBase64 *string `json:"data_base64,omitempty"`
}

// rangesOf returns the ranges of shards.
func rangesOf(shards []types.Shard) map[string]ids.Range {
	out := make(map[string]ids.Range, len(shards))
	for _, s := range shards {
		out[aws.ToString(s.ShardId)] = rangeOf(s.HashKeyRange)
	}
	return out
}

// rangeOf reads a range; one that cannot be read takes all.
func rangeOf(k *types.HashKeyRange) ids.Range {
	if k != nil {
		start, ok1 := ids.ParseHash(aws.ToString(k.StartingHashKey))
		end, ok2 := ids.ParseHash(aws.ToString(k.EndingHashKey))
		if ok1 && ok2 {
			return ids.Range{Start: start, End: end}
		}
	}
	return ids.Range{End: ids.MaxHash}
}

func (p *printer) page(page client.Page) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range page.Children {
		p.ranges[aws.ToString(c.ShardId)] = rangeOf(c.HashKeyRange)
	}
	for _, r := range page.Records {
		if err := p.record(page.ShardID, r); err != nil {
			return err
		}
	}
	if err := p.out.Flush(); err != nil {
		return err
	}
	if p.bounded && p.left == 0 {
		return errEnough
	}
	return nil
}

func (p *printer) record(shard string, r types.Record) error {
	t := tailRecord{Shard: shard, Sequence: aws.ToString(r.SequenceNumber), Key: aws.ToString(r.PartitionKey),
		Arrival: aws.ToTime(r.ApproximateArrivalTimestamp).UTC()}
	if a, ok := kpl.Parse(r.Data); ok && !p.raw {
		if !a.In(p.ranges[shard]) {
			return nil
		}
		for i, u := range a.Records() {
			t.SubSequence, t.Key, t.HashKey = &i, string(u.PartitionKey), string(u.ExplicitHashKey)
			if err := p.line(t, u.Data); err != nil {
				return err
			}
		}
		return nil
	}
	return p.line(t, r.Data)
}

// line prints one line, unless there were enough.
func (p *printer) line(t tailRecord, data []byte) error {
	if p.bounded {
		if p.left == 0 {
			return nil
		}
		p.left--
	}
	if !p.json {
		_, err := p.out.WriteString(dataLine(data) + "\n")
		return err
	}
	if utf8.Valid(data) {
		t.Data = aws.String(string(data))
	} else {
		t.DataBase64 = aws.String(base64.StdEncoding.EncodeToString(data))
	}
	enc := json.NewEncoder(p.out)
	enc.SetEscapeHTML(false)
	return enc.Encode(t)
}

// dataLine returns a record's data as one line that is safe to print.
func dataLine(data []byte) string {
	text := strings.TrimSuffix(string(data), "\n")
	switch {
	case !utf8.ValidString(text):
		return "base64:" + base64.StdEncoding.EncodeToString(data)
	case strings.ContainsFunc(text, func(r rune) bool { return (r < ' ' && r != '\t') || (r >= 0x7f && r < 0xa0) }):
		return strconv.Quote(text)
	}
	return text
}
