package opensearch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"thalweg/internal/delivery/dest"
)

// quoted is how much of an answer an error repeats.
const quoted = 256

// answer is what _bulk says.
type answer struct {
	Items []map[string]struct {
		Status int             `json:"status"`
		Error  json.RawMessage `json:"error"`
	} `json:"items"`
}

// send writes docs, whose lines are body, and adds those that are refused for good to
// res. A request that is too large goes in halves.
func (d *index) send(ctx context.Context, body []byte, docs []document, res *dest.Result) error {
	status, text, err := d.post(ctx, body)
	switch {
	case err != nil:
		return err
	case status == http.StatusRequestEntityTooLarge && len(docs) == 1:
		res.Rejected = append(res.Rejected, d.reject(docs[0], "413", "The document is too large for the destination."))
		return nil
	case status == http.StatusRequestEntityTooLarge:
		half := len(docs) / 2
		cut := docs[half].begin - docs[0].begin
		if err := d.send(ctx, body[:cut], docs[:half], res); err != nil {
			return err
		}
		return d.send(ctx, body[cut:], docs[half:], res)
	case status != http.StatusOK:
		return d.refused(status, text)
	}
	var a answer
	if err := json.Unmarshal(text, &a); err != nil || len(a.Items) != len(docs) {
		return d.fail(dest.Retryable, "ServiceException", "The answer is none to a bulk request of "+strconv.Itoa(len(docs))+" documents.", err)
	}
	mark := len(res.Rejected)
	for i, item := range a.Items {
		it, ok := item["index"]
		switch {
		case ok && it.Status >= 200 && it.Status < 300:
		case !ok, it.Status == http.StatusTooManyRequests, it.Status >= 500, it.Status < 300:
			res.Rejected = res.Rejected[:mark]
			class := dest.Retryable
			if it.Status == http.StatusTooManyRequests {
				class = dest.Throttled
			}
			return d.fail(class, "ServiceException", "A document could not be taken for now: "+strconv.Itoa(it.Status)+" "+brief(it.Error), nil)
		default:
			res.Rejected = append(res.Rejected, d.reject(docs[i], strconv.Itoa(it.Status), brief(it.Error)))
		}
	}
	return nil
}

// post sends one request and returns what was answered.
func (d *index) post(ctx context.Context, body []byte) (status int, text []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	req.Header.Set("Accept", "application/json")
	resp, err := d.client.Do(req)
	if err != nil {
		return 0, nil, d.lost(err)
	}
	defer resp.Body.Close()
	text, err = io.ReadAll(io.LimitReader(resp.Body, answerBytes+1))
	switch {
	case err != nil:
		return 0, nil, d.lost(err)
	case len(text) > answerBytes:
		return 0, nil, d.fail(dest.Retryable, "ServiceException", "The answer is too large.", nil)
	}
	return resp.StatusCode, text, nil
}

func (d *index) lost(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return d.fail(dest.Retryable, "ServiceException", "There was no answer.", err)
}

// refused is the error of an answer to a whole request.
func (d *index) refused(status int, text []byte) error {
	class, code := dest.Retryable, "ServiceException"
	switch status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		class = dest.Throttled
	case http.StatusUnauthorized, http.StatusForbidden:
		code = "AccessDenied"
	case http.StatusNotFound:
		code = "ResourceNotFound"
	}
	return d.fail(class, code, "The destination answered "+strconv.Itoa(status)+": "+brief(text), nil)
}

func (d *index) fail(c dest.Class, code, message string, err error) error {
	return &dest.Error{Class: c, Code: d.code + "." + code, Message: message, Err: err}
}

func brief(text []byte) string {
	return strings.ToValidUTF8(string(text[:min(quoted, len(text))]), "")
}
