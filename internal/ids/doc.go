// Package ids holds the identifiers that the stream services share, each as a
// type of its own: hash keys and their ranges, sequence numbers, shard ids, request ids.
//
// Everything here is safe for concurrent use, and but for request ids, which are
// random, a pure function of its input.
package ids
