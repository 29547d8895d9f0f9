// Package testpki makes what tests, the demo and the benchmarks need of a world that is not theirs: SoftHSM tokens, a
// fictitious population written as the register files write it, cards that hold real keys (and cards that lie), and test
// hierarchies.
//
// Everything here is recognisable as a test: RPPS numbers begin with 997, authorities are named TEST and certify test
// identities only, phone numbers and e-mail domains are those reserved for fiction. Nothing of it belongs into an
// authority that runs; of the commands only the demo and the benchmarks may import it, and it does not import testing.
//
// Formats: ANS "Annuaire Santé" extraction PS_LibreAcces_Personne_activite and the files of package registry, RFC 2986
// (PKCS#10), RFC 2985 §5.4 (its attributes), RFC 5280 through package profiles.
package testpki
