// Package status is the public face of the authority's certificates: OCSP, the
// revocation lists and the certificates of the issuers over HTTP, and what
// keeps them true (docs/DESIGN.md, "Status").
//
// The Handler answers the world (RFC 6960 appendix A, RFC 5019, RFC 9919). The
// Follower follows the authority's feed and lists; Lists checks each list
// before it replaces the one that is served; the Enrolment gets and renews the
// responder certificates. Examine tells how all this stands. Signatures are what
// strangers can make it spend: an answer is kept under what it depends on alone,
// and each client address has a budget of new ones.
//
// The room never opens the ledger and issues nothing: without the authority it
// goes on with what it has, dated as it is, for as long as ocsp allows. What an
// answer says is ocsp's; the command brings keys, addresses and the way to the
// authority. Nothing here logs who asked for what.
package status
