// Package profiles holds the shape of every certificate that the authority
// issues: the cards (CPS and CPE, authentication and signature), the card
// hierarchy (root, issuing, ocsp) and the technical one (technical-root,
// technical-issuing, tls-server, tls-client, officer).
//
// A profile is compiled once per issuer into constant bytes; Check lays the
// facts of one certificate between them, reads the result back and returns a
// Checked, whose TBSCertificate can be spent on one signature. What is decided
// about names, validity and texts is written in docs/PROFILES.md.
//
// Nothing here signs, keeps or looks up anything: ca asks for Checked values,
// the store keeps their bytes, and Assemble puts the signature beside them.
// Key sizes, exponents and curves allowed are the policy of ca.
//
// Standards: RFC 5280, RFC 6960 §4.2.2.2, X.690 (DER).
package profiles
