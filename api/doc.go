// Package api is the authority's doors under /v1: JSON and NDJSON over mutually
// authenticated TLS, described by openapi.yaml.
//
// A handler reads what came, asks one of the rooms below through an interface
// of config.go, and writes the answer in the types of package client. Who may
// pass which door is data (matrix.go): a caller is known by the fingerprint of
// an enrolled certificate, looked up at every request, and a door without a row
// in the matrix cannot be opened. Every refusal is a problem (RFC 9457) from one
// catalogue, in English or French.
//
// Nothing is decided here about cards, keys or lists, and no database, HSM or
// profile is known. Logs carry routes, roles, certificate serials and
// incident numbers, never a path, a name or a number of the register.
package api
