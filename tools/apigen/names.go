package main

import (
	"strings"
	"unicode"
)

// exported turns a model's name into an exported Go name: __listOf__string is
// ListOfString.
func exported(name string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(name, "_") {
		if part != "" {
			b.WriteString(strings.ToUpper(part[:1]) + part[1:])
		}
	}
	return b.String()
}

func lowerFirst(name string) string { return strings.ToLower(name[:1]) + name[1:] }

// constant turns an enumeration's value into the end of a Go name: TRIM_HORIZON
// is TrimHorizon, IncomingBytes stays, kafka.m5.large is KafkaM5Large.
func constant(value string) string {
	words := strings.FieldsFunc(value, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	var b strings.Builder
	for _, w := range words {
		if w == strings.ToUpper(w) {
			w = strings.ToLower(w)
		}
		b.WriteString(strings.ToUpper(w[:1]) + w[1:])
	}
	return b.String()
}
