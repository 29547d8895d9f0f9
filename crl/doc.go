// Package crl makes the certificate revocation lists of an issuer (RFC 5280
// §5) and publishes them in a folder, and reads and checks such lists on the
// status node.
//
// What lives here: the encoding of entries and lists, byte for byte in the
// shape of the IGC-Santé lists (entry.go, build.go); a small reader of that
// shape (parse.go) and the checks of a list before it is trusted (check.go);
// the Publisher, which decides what is listed (select.go), compares each list
// with the last one (publish.go), puts it in place so that a reader finds the
// old file or the new one (file.go), and does so on a schedule and soon after
// a revocation (run.go).
//
// What does not: who is revoked and why (card, ca), where numbers are kept
// (the ledger behind Numbers), keys (a crypto.Signer is handed in). The
// authority builds and publishes; the status node only parses and checks.
package crl
