package firehose

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"io"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// lister looks at the bucket all the time: what a reader sees there is whole from the
// first, and stays as it is.
type lister struct {
	s    *suite
	seen map[string]string // ETag by key
}

// look lists the bucket once and reads what is new. That the server is being killed is
// no fault of the bucket's.
func (l *lister) look(ctx context.Context, t *testing.T) {
	pages := s3.NewListObjectsV2Paginator(l.s.s3, &s3.ListObjectsV2Input{Bucket: aws.String(bucket)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return
		}
		for _, o := range page.Contents {
			tag, ok := l.seen[*o.Key]
			if ok {
				if tag != *o.ETag {
					t.Errorf("object %s has changed from %s to %s", *o.Key, tag, *o.ETag)
				}
				continue
			}
			got, err := l.s.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(bucket), Key: o.Key})
			if err != nil {
				return
			}
			sum := md5.New()
			n, err := io.Copy(sum, got.Body)
			got.Body.Close()
			if err != nil {
				return
			}
			if has := `"` + hex.EncodeToString(sum.Sum(nil)) + `"`; n != *o.Size || has != *o.ETag {
				t.Errorf("object %s is listed with %d bytes and %s, and has %d and %s", *o.Key, *o.Size, *o.ETag, n, has)
			}
			l.seen[*o.Key] = *o.ETag
		}
	}
}

// run looks until done is closed.
func (l *lister) run(ctx context.Context, t *testing.T, done <-chan struct{}) error {
	for {
		select {
		case <-done:
			return nil
		default:
			l.look(ctx, t)
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// end wants everything that was seen still to be there.
func (l *lister) end(t *testing.T) {
	before := len(l.seen)
	was := l.seen
	l.seen = map[string]string{}
	l.look(t.Context(), t)
	for key, tag := range was {
		if l.seen[key] != tag {
			t.Errorf("object %s was seen with %s, and is there with %q", key, tag, l.seen[key])
		}
	}
	t.Logf("a reader saw %d of %d objects while they came", before, len(l.seen))
}
