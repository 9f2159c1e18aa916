package awsapi_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"thalweg/internal/awsapi"
)

// TestConnectionStaysUsable sends bad requests over one connection, each followed
// by a good one that must be answered on it.
func TestConnectionStaysUsable(t *testing.T) {
	a, b := services(echo)
	srv := httptest.NewServer(newServer(t, awsapi.Config{Services: []*awsapi.Service{a, b}, Auth: allowAll{}}))
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	exchange := func(headers, body string) (int, string) {
		t.Helper()
		if _, err := fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: Test_1.Echo\r\n%s\r\n%s", headers, body); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	length := func(body string) string {
		return fmt.Sprintf("Content-Type: application/x-amz-json-1.1\r\nContent-Length: %d\r\n", len(body))
	}
	const chunked = "Content-Type: application/x-amz-json-1.1\r\nTransfer-Encoding: chunked\r\n"
	huge := strings.Repeat("x", 1<<20+1)
	for _, c := range []struct {
		headers, body string
		status        int
	}{
		{length(""), "", 400},
		{length("{"), "{", 400},
		{length("{\"Text\":\"\xff\"}"), "{\"Text\":\"\xff\"}", 400},
		{length(huge), huge, 413},
		{chunked, fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(huge), huge), 413},
		{"Content-Type: application/x-amz-cbor-1.1\r\nContent-Length: 2\r\n", "\xbf\x61", 400},
		{"Content-Type: nonsense\r\nContent-Length: 2\r\n", "{}", 400},
		{"Content-Encoding: gzip\r\n" + length("abc"), "abc", 400},
	} {
		if status, body := exchange(c.headers, c.body); status != c.status {
			t.Errorf("%q: %d %s, want %d", c.headers, status, body, c.status)
		}
		good := `{"Text":"still here"}`
		if status, body := exchange(length(good), good); status != 200 || body != good {
			t.Errorf("after %q: %d %s", c.headers, status, body)
		}
		if status, body := exchange(chunked, fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(good), good)); status != 200 || body != good {
			t.Errorf("chunked, after %q: %d %s", c.headers, status, body)
		}
	}
}
