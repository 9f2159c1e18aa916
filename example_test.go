package thalweg_test

import (
	"context"
	"fmt"
	"log"
	"strings"

	"thalweg"
)

// A program runs a server of its own and gives its URL to AWS SDKs.
func ExampleStart() {
	ctx := context.Background()
	srv, err := thalweg.Start(ctx, thalweg.Config{Ephemeral: true, Listen: "127.0.0.1:0", ListenTLS: "off", ListenKafka: "127.0.0.1:0"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.HasPrefix(srv.Endpoint(), "http://127.0.0.1:"))
	if err := srv.Close(ctx); err != nil {
		log.Fatal(err)
	}
	// Output: true
}
