// Package ocsp reads OCSP requests, decides what may be said, and writes signed
// responses: RFC 6960, with the profile of RFC 5019 and RFC 9919 and the nonce
// of RFC 9654 (docs/DESIGN.md, "Status").
//
// A Responder serves several issuers from one Image. It says good only of what
// the image records as good; it dates every answer by the image, never by the
// clock; it signs nothing about what is not its own. Each signature is verified
// before it is released.
//
// Of a serial that the image does not know it signs unknown, or revoked by
// ExtendedRevoke, only while the image is seconds old (KnowsAll): an older one
// may lack a certificate issued meanwhile, so the answer is an unsigned
// unauthorized, which no cache keeps and no client takes for a verdict.
//
// HTTP, caching and the enrolment of responder keys live in status; the image
// is the feed's. Keys arrive as crypto.Signer.
package ocsp
