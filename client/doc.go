// Package client holds the JSON types of the authority's API (/v1) and a client
// that speaks it over mutually authenticated TLS.
//
// The types are what travels: api answers with them, the commands and the
// status node read them. Nouns that other rooms own (card.Card, feed.Record,
// registry.Report) travel as those rooms write them. Keys are snake_case, times
// RFC 3339 in UTC, binary base64 (RFC 4648 §4), refusals problem objects
// (RFC 9457), streams one JSON object a line (NDJSON).
//
// Nothing here decides anything: what a caller may do, and what a request
// means, is known to the authority alone.
package client
