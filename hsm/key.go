package hsm

import (
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/miekg/pkcs11"
)

// keyIDLength of a CKA_ID, in bytes. It is random and not a hash of the public key, because it has to be in the
// template: the objects are not modifiable, and the public key is known only afterwards.
const keyIDLength = 16

// maxKeys bounds what Keys reads from a token.
const maxKeys = 10000

// Key is a signing key in a Token. It implements crypto.Signer and may be used by several goroutines. It outlives lost
// sessions: each session finds the key again by label and CKA_ID and checks its attributes again.
type Key struct {
	token *Token
	*keyRecord
}

var _ crypto.Signer = (*Key)(nil)

// KeyInfo is one line of Token.Keys.
type KeyInfo struct {
	Label     string
	Algorithm Algorithm // 0 if Err is set
	// Err says why Token.Key would refuse this key.
	Err error
}

// Generate makes a key pair inside the token under a label of 1 to 64 bytes and reads its attributes back; a key whose
// attributes are not as they must be is destroyed again. When it returns, the token has stored the key. Errors to test:
// ErrKeyExists, *AttributeError, *Error. After an *Error a key of that label may exist; the next Generate tells.
func (t *Token) Generate(ctx context.Context, label string, alg Algorithm) (*Key, error) {
	_, known := algorithms[alg]
	if !known {
		return nil, fmt.Errorf("generating key %q: %s is not used here", label, alg)
	}
	err := checkLabel(label)
	if err != nil {
		return nil, fmt.Errorf("generating a key: %w", err)
	}
	id := make([]byte, keyIDLength)
	_, _ = rand.Read(id) // never fails: it ends the process instead
	if len(t.places) > 1 {
		return nil, fmt.Errorf("generating key %q: %w", label, ErrSeveralPlaces)
	}
	p := t.places[0]
	var found foundKey
	err = p.manage(ctx, pkcs11.CKF_RW_SESSION, func(s pkcs11.SessionHandle) error {
		o := objects{p.module, s}
		public, private, err := o.generate(label, id, alg)
		if err != nil {
			return err
		}
		found, err = o.read(label)
		if err != nil {
			return errors.Join(err, opError("C_DestroyObject", o.module.binding.DestroyObject(s, private)),
				opError("C_DestroyObject", o.module.binding.DestroyObject(s, public)))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("generating key %q: %w", label, err)
	}
	return &Key{token: t, keyRecord: t.keys.add(map[*place]foundKey{p: found})}, nil
}

// Key finds the one private key of that label and its public key, and checks its attributes. With several places it
// does so in each that is up, and the public keys must be the same; the others are checked when they come up, and stay
// down if their key is another. Errors to test: ErrKeyNotFound, ErrKeyAmbiguous, ErrKeyDiffers, ErrUnavailable,
// *AttributeError, *Error.
func (t *Token) Key(ctx context.Context, label string) (*Key, error) {
	err := checkLabel(label)
	if err != nil {
		return nil, fmt.Errorf("opening a key: %w", err)
	}
	in := make(map[*place]foundKey)
	var down []error
	var first *foundKey
	for _, p := range t.places {
		var found foundKey
		err := p.manage(ctx, 0, func(s pkcs11.SessionHandle) error {
			var err error
			found, err = objects{p.module, s}.read(label)
			return err
		})
		if len(t.places) > 1 && (errors.Is(err, ErrUnavailable) || remedyFor(err).outage() && !errors.Is(err, ErrKeyNotFound)) {
			down = append(down, err)
			continue
		}
		if err == nil && first != nil && !found.same(&keyRecord{label: label, public: first.public}) {
			err = ErrKeyDiffers
		}
		if err != nil {
			return nil, fmt.Errorf("opening key %q in token %s: %w", label, p.where.name(), err)
		}
		in[p], first = found, &found
	}
	if first == nil {
		return nil, fmt.Errorf("opening key %q: %w", label, errors.Join(down...))
	}
	return &Key{token: t, keyRecord: t.keys.add(in)}, nil
}

// Keys lists the private keys of the token by label, those too that Key would refuse. Of several places it asks the
// first that is up.
func (t *Token) Keys(ctx context.Context) ([]KeyInfo, error) {
	var keys []KeyInfo
	var errs []error
	for _, p := range t.places {
		err := p.manage(ctx, 0, func(s pkcs11.SessionHandle) error {
			var err error
			keys, err = objects{p.module, s}.list()
			return err
		})
		if err == nil {
			slices.SortFunc(keys, func(a, b KeyInfo) int { return strings.Compare(a.Label, b.Label) })
			return keys, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("listing keys: %w", errors.Join(errs...))
}

// list reads what Token.Keys returns.
func (o objects) list() ([]KeyInfo, error) {
	handles, err := o.find(maxKeys, pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY), pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true))
	if err != nil {
		return nil, err
	}
	var keys []KeyInfo
	for _, handle := range handles {
		values, err := o.attributes(handle, pkcs11.CKA_LABEL)
		if err != nil {
			return nil, err
		}
		info := KeyInfo{Label: string(values[0])}
		key, err := o.read(info.Label)
		if remedyFor(err).outage() && !errors.Is(err, ErrKeyNotFound) {
			return nil, err
		}
		info.Err = err
		if err == nil {
			info.Algorithm = key.algorithm
		}
		keys = append(keys, info)
	}
	return keys, nil
}

// read finds and checks the key of that label.
func (o objects) read(label string) (foundKey, error) {
	handle, err := o.one(pkcs11.CKO_PRIVATE_KEY, label, nil)
	if err != nil {
		return foundKey{}, err
	}
	err = o.enforce(handle, label)
	if err != nil {
		return foundKey{}, err
	}
	values, err := o.attributes(handle, pkcs11.CKA_ID)
	if err != nil {
		return foundKey{}, err
	}
	id := values[0]
	if len(id) == 0 {
		return foundKey{}, &AttributeError{Label: label, Attributes: []string{"CKA_ID is empty"}}
	}
	public, err := o.public(handle, label, id)
	if err != nil {
		return foundKey{}, err
	}
	algorithm, err := algorithmOf(public)
	if err != nil {
		return foundKey{}, err
	}
	return foundKey{keyIdentity{label, string(id)}, public, algorithm}, nil
}

// generate refuses a label in use, then makes the pair.
func (o objects) generate(label string, id []byte, alg Algorithm) (public, private pkcs11.ObjectHandle, err error) {
	for _, class := range []uint{pkcs11.CKO_PRIVATE_KEY, pkcs11.CKO_PUBLIC_KEY} {
		_, err := o.one(class, label, nil)
		if err == nil || errors.Is(err, ErrKeyAmbiguous) {
			return 0, 0, ErrKeyExists
		}
		if !errors.Is(err, ErrKeyNotFound) {
			return 0, 0, err
		}
	}
	p := algorithms[alg]
	publicTemplate := []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, label),
		pkcs11.NewAttribute(pkcs11.CKA_ID, id),
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
		pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, false),
		pkcs11.NewAttribute(pkcs11.CKA_MODIFIABLE, false),
		pkcs11.NewAttribute(pkcs11.CKA_VERIFY, true),
		pkcs11.NewAttribute(pkcs11.CKA_ENCRYPT, false),
		pkcs11.NewAttribute(pkcs11.CKA_WRAP, false),
	}
	if p.oid != nil {
		publicTemplate = append(publicTemplate, pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, p.oid))
	} else {
		publicTemplate = append(publicTemplate, pkcs11.NewAttribute(pkcs11.CKA_MODULUS_BITS, p.bits),
			pkcs11.NewAttribute(pkcs11.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1}))
	}
	privateTemplate := []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, label),
		pkcs11.NewAttribute(pkcs11.CKA_ID, id),
	}
	for _, r := range rules {
		if r.template {
			privateTemplate = append(privateTemplate, pkcs11.NewAttribute(r.attribute, r.value))
		}
	}
	generator := []*pkcs11.Mechanism{pkcs11.NewMechanism(p.generator, nil)}
	public, private, err = o.module.binding.GenerateKeyPair(o.session, generator, publicTemplate, privateTemplate)
	return public, private, opError("C_GenerateKeyPair", err)
}

// checkLabel refuses labels that no list or URI could show.
func checkLabel(label string) error {
	if label == "" || len(label) > maxLabel {
		return fmt.Errorf("the label is not of 1 to %d bytes", maxLabel)
	}
	control := func(r rune) bool { return r < 0x20 || r == 0x7f }
	if !utf8.ValidString(label) || strings.ContainsFunc(label, control) {
		return errors.New("the label is not plain UTF-8")
	}
	return nil
}

// Label returns CKA_LABEL.
func (k *Key) Label() string { return k.label }

// Algorithm returns the kind and size of the key.
func (k *Key) Algorithm() Algorithm { return k.algorithm }

// Public returns the *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey that was read from the token. Whoever may
// not trust the token's public object compares it with the issuer's certificate.
func (k *Key) Public() crypto.PublicKey { return k.public }

// Sign is SignContext without a context: it waits for a session until the Token is closed.
func (k *Key) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return k.SignContext(k.token.life, digest, opts)
}

// SignContext signs a digest: with an RSA key PKCS#1 v1.5 (RFC 8017 §8.2) or, for *rsa.PSSOptions, PSS (§8.1), over
// SHA-256, SHA-384 or SHA-512; with an EC key ECDSA (FIPS 186-5 §6), over SHA-256 or, on P-384, SHA-384, as the DER
// ECDSA-Sig-Value of RFC 3279 §2.2.3. With an Ed25519 key opts.HashFunc() is 0 and digest is the whole message (RFC 8032
// §5.1). ctx bounds the wait for a session; once a session has taken the request its outcome is awaited, for no longer
// than Config.Deadline.
//
// With several places the least busy one signs, and another where C_Sign was provably not entered in that one.
//
// The signature is verified by nobody here: the caller must. C_Sign is entered at most once. Unless the error is an
// *Error with Entered set, it was not entered and no signature can exist. Errors to test: *Error, *AttributeError,
// ErrUnavailable, ErrOptions, ErrBusy, ErrClosed, ErrPIN, ErrKeyNotFound, and the cause of ctx.
func (k *Key) SignContext(ctx context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	m, data, err := k.algorithm.mechanism(digest, opts)
	if err != nil {
		return nil, fmt.Errorf("signing with key %q: %w", k.label, err)
	}
	raw, err := k.token.signature(ctx, k.keyRecord, m, data)
	if err != nil {
		return nil, fmt.Errorf("signing with key %q: %w", k.label, err)
	}
	signature, ok := k.algorithm.encode(raw)
	if !ok {
		return nil, fmt.Errorf("signing with key %q: the token returned something that is no signature: %w", k.label,
			&Error{Op: "C_Sign", Code: pkcs11.CKR_SIGNATURE_LEN_RANGE, Entered: true})
	}
	return signature, nil
}
