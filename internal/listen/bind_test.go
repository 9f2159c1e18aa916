package listen

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"thalweg/internal/errs"
)

// TestStartMatrix goes through every way to start: where, under TLS or not, with
// verified requests or not, with the risk taken or not.
func TestStartMatrix(t *testing.T) {
	hosts := map[string]bool{ // loopback?
		"127.0.0.1": true, "127.8.8.8": true, "[::1]": true, "localhost": true, "LocalHost": true, "[::ffff:127.0.0.1]": true,
		"0.0.0.0": false, "[::]": false, "": false, "10.0.0.1": false, "thalweg.example": false, "[fe80::1%eth0]": false, "[::ffff:10.0.0.1]": false,
	}
	n := 0
	for host, local := range hosts {
		for _, secure := range []bool{false, true} {
			for _, open := range []bool{false, true} {
				for _, insecure := range []bool{false, true} {
					n++
					b := Bind{Flag: "--listen", Addr: host + ":4566", Secure: secure, Open: open, Insecure: insecure}
					err := CheckBind(b)
					if want := local || insecure || secure && !open; (err == nil) != want {
						t.Errorf("%+v: %v", b, err)
					}
					if err == nil {
						continue
					}
					var e *errs.Error
					if !errors.As(err, &e) || e.Kind != errs.Invalid || !strings.HasPrefix(e.Msg, "--listen "+b.Addr) {
						t.Fatalf("%+v: %#v", b, err)
					}
					// The hint's way out is one.
					for _, way := range []string{"--insecure", "127.0.0.1:4566"} {
						if !strings.Contains(e.Hint, way) {
							t.Errorf("%+v: hint %q lacks %s", b, e.Hint, way)
						}
					}
					if open != strings.Contains(e.Hint, "--auth strict") || secure == strings.Contains(e.Hint, "--listen-tls") {
						t.Errorf("%+v: hint %q", b, e.Hint)
					}
				}
			}
		}
	}
	if n != 8*len(hosts) {
		t.Errorf("%d combinations", n)
	}
	for _, bad := range []string{"", "localhost", "127.0.0.1", "::1", "[::1]", "localhost:", "a:b:c"} {
		if err := CheckBind(Bind{Flag: "--listen", Addr: bad}); errs.KindOf(err) != errs.Invalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func ExampleCheckBind() {
	fmt.Println(CheckBind(Bind{Flag: "--listen", Addr: "0.0.0.0:4566", Open: true}))
	fmt.Println(CheckBind(Bind{Flag: "--listen-tls", Addr: "0.0.0.0:4567", Secure: true}))
	// Output:
	// --listen 0.0.0.0:4566 can be reached from other machines, with neither verified nor encrypted requests (use --listen-tls with --auth strict there, or listen on 127.0.0.1:4566, or accept the risk with --insecure)
	// <nil>
}
