// Command junit counts the tests in JUnit files, names those that failed or
// were skipped, and prints the closing line of make clients: "N passed, N
// failed, N skipped". A file that is not .xml is the output of tools/testsum,
// whose own closing line is added. A file that is missing or broken counts as
// one failed test. The exit code is 1 if anything failed or nothing ran.
package main

import (
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"strings"
)

// counts is how tests ended.
type counts struct {
	passed, failed, skipped int
}

// suite is a test suite of a JUnit file; suites nest.
type suite struct {
	Suites []suite `xml:"testsuite"`
	Cases  []struct {
		Name    string    `xml:"name,attr"`
		Class   string    `xml:"classname,attr"`
		Failure *struct{} `xml:"failure"`
		Error   *struct{} `xml:"error"`
		Skipped *struct {
			Message string `xml:"message,attr"`
		} `xml:"skipped"`
	} `xml:"testcase"`
}

func main() {
	if !run(os.Args[1:], os.Stdout) {
		os.Exit(1)
	}
}

// run counts the files and tells whether all went well.
func run(files []string, out io.Writer) bool {
	var c counts
	for _, path := range files {
		data, err := os.ReadFile(path)
		switch {
		case err != nil:
		case strings.HasSuffix(path, ".xml"):
			var s suite
			if err = xml.Unmarshal(data, &s); err == nil {
				c.add(s, out)
			}
		default:
			err = c.addClosingLine(string(data))
		}
		if err != nil {
			fmt.Fprintf(out, "FAIL  %s: %v\n", path, err)
			c.failed++
		}
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", c.passed, c.failed, c.skipped)
	return c.failed == 0 && c.passed > 0
}

// addClosingLine adds the counts of the last line of a testsum's output.
func (c *counts) addClosingLine(text string) error {
	text = strings.TrimSpace(text)
	last := text[strings.LastIndexByte(text, '\n')+1:]
	var o counts
	if _, err := fmt.Sscanf(last, "%d passed, %d failed, %d skipped", &o.passed, &o.failed, &o.skipped); err != nil {
		return fmt.Errorf("no closing line but %q: %w", last, err)
	}
	c.passed, c.failed, c.skipped = c.passed+o.passed, c.failed+o.failed, c.skipped+o.skipped
	return nil
}

func (c *counts) add(s suite, out io.Writer) {
	for _, inner := range s.Suites {
		c.add(inner, out)
	}
	for _, t := range s.Cases {
		switch {
		case t.Failure != nil || t.Error != nil:
			c.failed++
			fmt.Fprintf(out, "FAIL  %s: %s\n", t.Class, t.Name)
		case t.Skipped != nil:
			c.skipped++
			fmt.Fprintf(out, "SKIP  %s: %s: %s\n", t.Class, t.Name, t.Skipped.Message)
		default:
			c.passed++
		}
	}
}
