package kwire

// Versions of Produce that change its form.
const (
	produceFlexible = 9
	produceTopicIDs = 13
)

// maxProduceParts bounds topics and partitions of one Produce together, so that
// a small frame cannot make large tables.
const maxProduceParts = 1 << 16

// ProduceRequest is a request to append record batches, of version 3 or later.
type ProduceRequest struct {
	// TransactionalID is meant when Transactional is set.
	TransactionalID string
	Transactional   bool
	Acks            int16
	Topics          []ProduceTopic
}

// ProduceTopic is one topic's part: by Name, by ID from version 13 on.
type ProduceTopic struct {
	Name       string
	ID         [16]byte
	Partitions []ProducePartition
}

// ProducePartition is what is to be appended to one partition. Records are
// whatever the client sent, nil for null.
type ProducePartition struct {
	Index   int32
	Records []byte
}

// ParseProduce reads the body of a Produce. Records point into body.
func ParseProduce(body []byte, version int16) (ProduceRequest, error) {
	r := reader{b: body}
	flexible := version >= produceFlexible
	var p ProduceRequest
	var id []byte
	if flexible {
		id = r.compact()
	} else {
		id = r.nullableString()
	}
	p.TransactionalID, p.Transactional = string(id), id != nil
	p.Acks = r.int16()
	r.int32() // timeout: a batch is answered when it is durable
	parts := 0
	for range r.count(flexible, &parts) {
		t := ProduceTopic{}
		switch {
		case version >= produceTopicIDs:
			copy(t.ID[:], r.take(16))
		case flexible:
			t.Name = r.name(r.compact())
		default:
			t.Name = r.name(r.nullableString())
		}
		for range r.count(flexible, &parts) {
			pt := ProducePartition{Index: r.int32()}
			if flexible {
				pt.Records = r.compact()
				r.tags()
			} else if n := r.int32(); n >= 0 {
				pt.Records = r.take(int(n))
			}
			if r.bad {
				return p, ErrMalformed
			}
			t.Partitions = append(t.Partitions, pt)
		}
		if flexible {
			r.tags()
		}
		if r.bad {
			return p, ErrMalformed
		}
		p.Topics = append(p.Topics, t)
	}
	if flexible {
		r.tags()
	}
	if r.bad || len(r.b) != 0 {
		return p, ErrMalformed
	}
	return p, nil
}

// name is a string that may not be null.
func (r *reader) name(b []byte) string {
	if b == nil {
		r.bad, r.b = true, nil
	}
	return string(b)
}

// count reads the length of an array and adds it to parts; null counts as empty.
func (r *reader) count(flexible bool, parts *int) int {
	var n int
	if flexible {
		n = int(r.uvarint()) - 1
	} else {
		n = int(r.int32())
	}
	n = max(n, 0)
	if n > len(r.b) || *parts+n > maxProduceParts {
		r.bad, r.b = true, nil
		return 0
	}
	*parts += n
	return n
}
