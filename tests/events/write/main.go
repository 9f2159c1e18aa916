// Command write prints the first player events, one JSON object a line, for the
// suites that are not written in Go: go run ./tests/events/write -n 20000.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"

	"thalweg/tests/events"
)

func main() {
	count := flag.String("n", "all", "number of events, or all")
	root := flag.String("root", ".", "the repository's root `directory`")
	flag.Parse()
	if err := run(*root, *count); err != nil {
		fmt.Fprintln(os.Stderr, "write:", err)
		os.Exit(1)
	}
}

func run(root, count string) error {
	n, err := events.Count(count)
	if err != nil {
		return err
	}
	set, err := events.Load(root, n)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, set.Origin)
	out := bufio.NewWriter(os.Stdout)
	for _, e := range set.Events {
		out.Write(e.Data(0))
		out.WriteByte('\n')
	}
	return out.Flush()
}
