package s3

import (
	"encoding/base64"
	"net/http"
)

// ListObjectsV2 is ListObjects with tokens in place of markers. A token names where
// its page ended, and is good for ever.
//
// Status: done

func (x *exchange) listObjectsV2() error {
	if v := x.query.get("list-type"); v != "2" {
		return invalidArgument("Invalid List Type specified in Request", "list-type", v)
	}
	l, err := x.newList()
	if err != nil {
		return err
	}
	token, start := x.query.get("continuation-token"), x.query.get("start-after")
	after := start
	if x.query.has("continuation-token") {
		raw, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil || len(raw) == 0 {
			return invalidArgument("The continuation token provided is incorrect", "continuation-token", token)
		}
		after = string(raw)
	}
	page, err := l.page(after)
	if err != nil {
		return err
	}
	out := l.result(page, x.query.get("fetch-owner") == "true")
	out.KeyCount = new(len(page.Objects) + len(page.Prefixes))
	out.Token, out.StartAfter = token, l.encode(start)
	if page.Next != "" {
		out.NextToken = base64.RawURLEncoding.EncodeToString([]byte(page.Next))
	}
	x.document(http.StatusOK, out)
	return nil
}
