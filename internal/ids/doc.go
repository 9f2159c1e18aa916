// Package ids holds the identifiers that the stream services share, each as a
// type of its own: hash keys and their ranges, sequence numbers, shard ids.
//
// Everything here is a pure function of its input and safe for concurrent use.
package ids
