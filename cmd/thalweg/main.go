// Command thalweg is a durable streaming server that speaks Amazon Kinesis, and
// the tools to use it.
package main

import (
	"os"

	"thalweg/internal/cli"
)

func main() { os.Exit(cli.Main()) }
