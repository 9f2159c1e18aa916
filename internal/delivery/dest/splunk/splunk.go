// Package splunk delivers batches to an HTTP event collector (HEC) of Splunk, with
// indexer acknowledgement.
//
// The records' bytes go one after the other to /services/collector/raw, or to
// /services/collector/event if they are events of HEC's own form. The collector answers
// with a number, by which it is then asked, every second, whether the data is indexed
// (/services/collector/ack). A batch is delivered when it says so; if that takes longer
// than the configuration allows, the delivery has failed, and is tried again. So delivery
// is at least once. The channel is the plan's id, the same whenever the batch is sent.
//
// The token is described, as AWS does; whoever manages delivery streams by their
// descriptions, as Terraform does, needs it there.
//
// The body stands in a scratch file before it is sent, for its length must be told.
package splunk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/egress"
	"thalweg/internal/errs"
)

const (
	// Timeout is how long the collector may take for an answer.
	Timeout = 3 * time.Minute
	// PollEvery is how often the collector is asked whether data is indexed.
	PollEvery = time.Second
	// answerBytes bounds an answer.
	answerBytes = 64 << 10
)

// Spec returns the Splunk kind of destination, whose connections go where the policy
// allows.
func Spec(p *egress.Policy) dest.Spec {
	client := p.Client()
	return dest.Spec{
		Kind: "Splunk", Retry: time.Hour, ErrorType: "splunk-failed",
		Defaults: `{"BufferingHints":{"SizeInMBs":5,"IntervalInSeconds":60},"CloudWatchLoggingOptions":{"Enabled":false},` +
			`"HECAcknowledgmentTimeoutInSeconds":180,"RetryOptions":{"DurationInSeconds":3600},"S3BackupMode":"FailedEventsOnly",` +
			`"ProcessingConfiguration":{"Enabled":false}}`,
		Host: func(c dest.Config) string {
			if _, u, err := parse(c); err == nil {
				return u.Host
			}
			return ""
		},
		Check: func(c dest.Config) error {
			_, _, err := parse(c)
			return err
		},
		Open: func(c dest.Config, e dest.Env) (dest.Destination, error) {
			cfg, u, err := parse(c)
			if err != nil {
				return nil, err
			}
			path := "services/collector/event"
			if cfg.HECEndpointType == "Raw" {
				path = "services/collector/raw"
			}
			return &collector{client: client, clock: e.Clock, scratch: e.Scratch, token: cfg.HECToken,
				data: u.JoinPath(path), ack: u.JoinPath("services/collector/ack"),
				patience: time.Duration(cfg.HECAcknowledgmentTimeoutInSeconds) * time.Second}, nil
		},
	}
}

// config is what is needed of a SplunkDestinationDescription.
type config struct {
	HECEndpoint, HECEndpointType, HECToken string
	HECAcknowledgmentTimeoutInSeconds      int
	SecretsManagerConfiguration            *struct{ Enabled bool }
}

func parse(c dest.Config) (cfg config, u *url.URL, err error) {
	if err = json.Unmarshal(c, &cfg); err != nil {
		return cfg, nil, err
	}
	u, err = url.Parse(cfg.HECEndpoint)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "":
		return cfg, nil, errs.New(errs.Invalid, fmt.Sprintf("The HEC endpoint is not valid: %q", cfg.HECEndpoint))
	case cfg.SecretsManagerConfiguration != nil && cfg.SecretsManagerConfiguration.Enabled:
		return cfg, nil, errs.New(errs.Invalid, "SecretsManagerConfiguration is not supported. Please specify HECToken.")
	case cfg.HECToken == "":
		return cfg, nil, errs.New(errs.Invalid, "HECToken must be specified.")
	}
	return cfg, u, nil
}

type collector struct {
	client    *http.Client
	clock     clock.Clock
	scratch   func() (dest.Scratch, error)
	token     string
	data, ack *url.URL
	patience  time.Duration
}

// Deliver sends the batch and waits until it is indexed.
func (d *collector) Deliver(ctx context.Context, b dest.Batch) (dest.Result, error) {
	file, err := d.scratch()
	if err != nil {
		return dest.Result{}, err
	}
	defer file.Close()
	size := int64(0)
	err = b.Records(ctx, func(r *dest.Record) error {
		n, err := file.Write(r.Data)
		size += int64(n)
		return err
	})
	if err != nil {
		return dest.Result{}, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return dest.Result{}, err
	}
	u := *d.data
	u.RawQuery = "channel=" + url.QueryEscape(b.Plan)
	var said struct {
		Code  int    `json:"code"`
		AckID *int64 `json:"ackId"`
	}
	if err := d.post(ctx, &u, b.Plan, file, size, &said); err != nil {
		return dest.Result{}, err
	}
	if said.Code != 0 || said.AckID == nil {
		return dest.Result{}, fail(dest.Retryable, "DisabledAck", "The collector does not acknowledge: indexer acknowledgement must be enabled for the token.", nil)
	}
	return dest.Result{}, d.await(ctx, b.Plan, *said.AckID)
}

// await asks until the data is indexed.
func (d *collector) await(ctx context.Context, channel string, id int64) error {
	u := *d.ack
	u.RawQuery = "channel=" + url.QueryEscape(channel)
	question := []byte(`{"acks":[` + strconv.FormatInt(id, 10) + `]}`)
	end := d.clock.Now().Add(d.patience)
	timer := d.clock.NewTimer(PollEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C():
		}
		var said struct{ Acks map[string]bool }
		// Not to have an answer is no reason to send all again before its time.
		err := d.post(ctx, &u, channel, bytes.NewReader(question), int64(len(question)), &said)
		switch {
		case err == nil && said.Acks[strconv.FormatInt(id, 10)]:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !d.clock.Now().Before(end):
			return fail(dest.Retryable, "AckTimeout", "The collector has not acknowledged the data in time.", err)
		}
		timer.Reset(PollEvery)
	}
}

// post sends a body and reads the collector's answer.
func (d *collector) post(ctx context.Context, u *url.URL, channel string, body io.Reader, size int64, said any) error {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), struct{ io.Reader }{body})
	if err != nil {
		return err
	}
	req.ContentLength = size
	req.Header.Set("Authorization", "Splunk "+d.token)
	req.Header.Set("X-Splunk-Request-Channel", channel)
	req.Header.Set("Content-Type", "application/json")
	resp, err := d.client.Do(req)
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return err
		}
		return fail(dest.Retryable, "ConnectionClosed", "There was no answer from the collector.", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, answerBytes))
	if err != nil {
		return fail(dest.Retryable, "ConnectionClosed", "The collector's answer has no end.", err)
	}
	if resp.StatusCode != http.StatusOK {
		return refused(resp.StatusCode, text)
	}
	if err := json.Unmarshal(text, said); err != nil {
		return fail(dest.Retryable, "InvalidHecResponse", "The collector's answer is none.", err)
	}
	return nil
}

// refused is the error of an answer that is not 200, by HEC's own codes where it has
// given one (Splunk, "Troubleshoot HTTP Event Collector": 1 to 4 about the token, 9 busy,
// 14 acknowledgement disabled).
func refused(status int, text []byte) error {
	var said struct {
		Code int
		Text string
	}
	if json.Unmarshal(text, &said) != nil {
		said.Code, said.Text = 0, ""
	}
	message := "The collector answered " + strconv.Itoa(status)
	if said.Text != "" {
		message += ": " + strings.ToValidUTF8(said.Text[:min(len(said.Text), 256)], "")
	}
	class, code := dest.Retryable, "ServerError"
	switch {
	case said.Code == 14:
		code = "DisabledAck"
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		code = "InvalidToken"
	case status == http.StatusNotFound:
		code = "InvalidEndpoint"
	case status == http.StatusServiceUnavailable, status == http.StatusTooManyRequests:
		class, code = dest.Throttled, "ServerBusy"
	case status == http.StatusRequestEntityTooLarge:
		class, code = dest.Permanent, "RequestTooLarge"
	case status == http.StatusBadRequest:
		class, code = dest.Permanent, "InvalidDataFormat"
	}
	return fail(class, code, message+".", nil)
}

func fail(c dest.Class, code, message string, err error) error {
	return &dest.Error{Class: c, Code: "Splunk." + code, Message: message, Err: err}
}
