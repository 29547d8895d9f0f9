// Package hsm holds the keys of the authority that live behind PKCS#11 (v2.40): tokens, sessions, signing keys.
//
// A [Token] is one token or several with the same keys, each a place with a bounded pool of sessions, of which each is
// used by one goroutine of its own, and one more session that keeps the login alive. A [Key] is a crypto.Signer over
// these pools; [KeyManager] shows the same keys as kms/apiv1 knows them. What a signature means (certificates, lists,
// answers) does not live here, and nothing here verifies a signature: the caller verifies each with the public key that
// it expects before it lets it out.
//
// A place that fails is down: requests fail at once (or go to another place) until its keeper, one goroutine, has
// brought it up again with a new session, a new login or a new C_Initialize.
//
// The commands open tokens and hand the keys to the rooms above as plain crypto.Signer values. Nothing here reads the
// environment: whoever uses SoftHSM sets SOFTHSM2_CONF before the first Open.
//
// Two rules shape the code. C_Sign is entered at most once per call, because a second ECDSA or PSS signature is a
// second certificate with the same serial number. And no session is ever closed but by its owner while nobody else
// can be inside it: SoftHSM, for one, ends the process otherwise, or returns CKR_OK with a wrong signature.
package hsm
