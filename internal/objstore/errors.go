package objstore

import (
	"unicode/utf8"

	"thalweg/internal/errs"
)

// Errors of a Store, compared with errors.Is.
var (
	ErrNoBucket       error = errs.New(errs.NotFound, "there is no such bucket")
	ErrOwner          error = errs.New(errs.Denied, "the bucket is another account's")
	ErrBucketName     error = errs.New(errs.Invalid, "the bucket's name is not valid")
	ErrBucketExists   error = errs.New(errs.Exists, "there is a bucket of that name")
	ErrBucketNotEmpty error = errs.New(errs.InUse, "the bucket is not empty")
	ErrTooManyBuckets error = errs.New(errs.LimitExceeded, "there are too many buckets")
	ErrNoKey          error = errs.New(errs.NotFound, "there is no such object")
	ErrKey            error = errs.New(errs.Invalid, "the key is not valid")
	ErrPrecondition   error = errs.New(errs.Exists, "the condition of the request does not hold")
	ErrNoUpload       error = errs.New(errs.NotFound, "there is no such upload")
	ErrPart           error = errs.New(errs.Invalid, "a part is not there, or is another")
	ErrPartOrder      error = errs.New(errs.Invalid, "the parts are not in rising order")
	ErrPartSize       error = errs.New(errs.Invalid, "a part is too small")
)

// CheckKey reports a key that no object can have.
func CheckKey(key string) error {
	if key == "" || len(key) > MaxKey || !utf8.ValidString(key) {
		return ErrKey
	}
	return nil
}

// CheckBucketName reports a name that no bucket can have: 3 to 63 of a-z, 0-9, dot
// and hyphen, that begins and ends with a letter or digit, without two dots side by
// side, and is no IPv4 address
// (docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html).
func CheckBucketName(name string) error {
	if len(name) < 3 || len(name) > 63 {
		return ErrBucketName
	}
	dots, other := 0, false
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z':
			other = true
		case c >= '0' && c <= '9':
		case (c == '.' || c == '-') && i > 0 && i < len(name)-1:
			other = other || c == '-'
			if c == '.' {
				if dots++; name[i-1] == '.' {
					return ErrBucketName
				}
			}
		default:
			return ErrBucketName
		}
	}
	if dots == 3 && !other {
		return ErrBucketName
	}
	return nil
}
