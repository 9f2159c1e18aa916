// Command transform is a function of a delivery stream, as a program of WASI: of a record N it
// makes 2N, drops those that 5 divides, and fails on those that end in 7.
package main

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
)

func main() {
	var event struct {
		Records []struct {
			RecordID string `json:"recordId"`
			Data     []byte `json:"data"`
		} `json:"records"`
	}
	if err := json.NewDecoder(os.Stdin).Decode(&event); err != nil {
		os.Stderr.WriteString(err.Error())
		os.Exit(1)
	}
	type result struct {
		RecordID string `json:"recordId"`
		Result   string `json:"result"`
		Data     []byte `json:"data,omitempty"`
	}
	var answer struct {
		Records []result `json:"records"`
	}
	for _, r := range event.Records {
		n, err := strconv.Atoi(strings.TrimSpace(string(r.Data)))
		out := result{r.RecordID, "Ok", []byte(strconv.Itoa(2*n) + "\n")}
		switch {
		case err != nil || n%10 == 7:
			out.Result, out.Data = "ProcessingFailed", r.Data
		case n%5 == 0:
			out.Result, out.Data = "Dropped", nil
		}
		answer.Records = append(answer.Records, out)
	}
	if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
		os.Exit(1)
	}
}
