// Package ca issues: it takes applications from the bureau, examines them
// against the register and the rules on keys, and turns them into recorded
// certificates by the protocol of docs/ISSUANCE.md (intent, signature, record).
//
// It decides nothing about a card's later life (lifecycle does), knows no
// database and no HSM: it declares what it needs of them in the interfaces of
// config.go. Its callers are api, for applications, and the commands, for the
// certificates of the infrastructure.
//
// The rule that everything here serves: C_Sign is entered at most once for a
// TBSCertificate, and only for one whose intent is on disk. Whatever does not
// end in a verified signature is abandoned: revoked for the world, its serial
// never used again.
package ca
