package hsm

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/miekg/pkcs11"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// publicExponent is the one RSA exponent of keys here.
const publicExponent = 65537

// objects reads the objects of a token through one session, which the caller alone uses.
type objects struct {
	module  *module
	session pkcs11.SessionHandle
}

// rule is what a boolean attribute of a private key must be.
type rule struct {
	attribute uint
	name      string
	value     bool
	template  bool // set by us when the key is made; the others are set by the token
}

// rules of a private key, PKCS#11 v2.40 §4.4, §4.7 and §4.9: born in the token, stays there, signs and does nothing else.
var rules = []rule{
	{pkcs11.CKA_TOKEN, "CKA_TOKEN", true, true},
	{pkcs11.CKA_PRIVATE, "CKA_PRIVATE", true, true},
	{pkcs11.CKA_SENSITIVE, "CKA_SENSITIVE", true, true},
	{pkcs11.CKA_SIGN, "CKA_SIGN", true, true},
	{pkcs11.CKA_EXTRACTABLE, "CKA_EXTRACTABLE", false, true},
	{pkcs11.CKA_DECRYPT, "CKA_DECRYPT", false, true},
	{pkcs11.CKA_UNWRAP, "CKA_UNWRAP", false, true},
	{pkcs11.CKA_DERIVE, "CKA_DERIVE", false, true},
	{pkcs11.CKA_SIGN_RECOVER, "CKA_SIGN_RECOVER", false, true},
	{pkcs11.CKA_MODIFIABLE, "CKA_MODIFIABLE", false, true},
	{pkcs11.CKA_ALWAYS_SENSITIVE, "CKA_ALWAYS_SENSITIVE", true, false},
	{pkcs11.CKA_NEVER_EXTRACTABLE, "CKA_NEVER_EXTRACTABLE", true, false},
	{pkcs11.CKA_LOCAL, "CKA_LOCAL", true, false},
}

// find returns at most limit handles of the objects that match.
func (o objects) find(limit int, template ...*pkcs11.Attribute) ([]pkcs11.ObjectHandle, error) {
	o.module.copying.RLock()
	defer o.module.copying.RUnlock()
	err := o.module.binding.FindObjectsInit(o.session, template)
	if err != nil {
		return nil, opError("C_FindObjectsInit", err)
	}
	var handles []pkcs11.ObjectHandle
	for len(handles) < limit {
		var some []pkcs11.ObjectHandle
		some, _, err = o.module.binding.FindObjects(o.session, limit-len(handles))
		if err != nil || len(some) == 0 {
			break
		}
		handles = append(handles, some...)
	}
	return handles, errors.Join(opError("C_FindObjects", err), opError("C_FindObjectsFinal", o.module.binding.FindObjectsFinal(o.session)))
}

// one returns the only object of that class and label, and of that id unless it is nil.
func (o objects) one(class uint, label string, id []byte) (pkcs11.ObjectHandle, error) {
	template := []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, class),
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, label),
	}
	if id != nil {
		template = append(template, pkcs11.NewAttribute(pkcs11.CKA_ID, id))
	}
	handles, err := o.find(2, template...)
	if err != nil {
		return 0, fmt.Errorf("looking for key %q: %w", label, err)
	}
	switch len(handles) {
	case 0:
		return 0, fmt.Errorf("looking for key %q: %w", label, ErrKeyNotFound)
	case 1:
		return handles[0], nil
	}
	return 0, fmt.Errorf("looking for key %q: %w", label, ErrKeyAmbiguous)
}

// attributes reads the named attributes of one object, in their order.
func (o objects) attributes(handle pkcs11.ObjectHandle, types ...uint) ([][]byte, error) {
	var template []*pkcs11.Attribute
	for _, attribute := range types {
		template = append(template, pkcs11.NewAttribute(attribute, nil))
	}
	read, err := o.module.binding.GetAttributeValue(o.session, handle, template)
	if err != nil {
		return nil, opError("C_GetAttributeValue", err)
	}
	var values [][]byte
	for _, attribute := range read {
		values = append(values, attribute.Value)
	}
	return values, nil
}

// enforce reads every attribute of rules and returns an *AttributeError if one is not as it must be. They are read one
// by one, so that the error names what the token does not tell; not to know is to refuse.
func (o objects) enforce(handle pkcs11.ObjectHandle, label string) error {
	return o.obey(handle, label, rules)
}

func (o objects) obey(handle pkcs11.ObjectHandle, label string, rules []rule) error {
	var wrong []string
	for _, r := range rules {
		values, err := o.attributes(handle, r.attribute)
		switch {
		case isCode(err, pkcs11.CKR_ATTRIBUTE_TYPE_INVALID), isCode(err, pkcs11.CKR_ATTRIBUTE_SENSITIVE):
			wrong = append(wrong, r.name+" is unreadable")
		case err != nil:
			return fmt.Errorf("reading the attributes of key %q: %w", label, err)
		case len(values[0]) != 1:
			wrong = append(wrong, r.name+" is unreadable")
		case (values[0][0] != 0) != r.value:
			wrong = append(wrong, fmt.Sprintf("%s is %t", r.name, !r.value))
		}
	}
	if wrong != nil {
		return &AttributeError{Label: label, Attributes: wrong}
	}
	return nil
}

// copyRules are those of the copy of a key that lives in one session and ends with it: the same but CKA_TOKEN.
var copyRules = func() []rule {
	copied := slices.Clone(rules)
	for i := range copied {
		if copied[i].attribute == pkcs11.CKA_TOKEN {
			copied[i].value = false
		}
	}
	return copied
}()

// copyIntoSession copies a private key whose attributes were enforced into an object of this session (v2.40 §5.7,
// C_CopyObject), which some tokens sign with much faster than with the object that they keep. It returns the handle to
// sign with: that of the copy, or key itself where the token refuses the copy or makes one that is not as it must be. A
// session that is lost meanwhile says so at C_SignInit.
func (o objects) copyIntoSession(key pkcs11.ObjectHandle, label string) pkcs11.ObjectHandle {
	o.module.copying.Lock()
	handle, err := o.module.binding.CopyObject(o.session, key, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_TOKEN, false)})
	o.module.copying.Unlock()
	if err != nil {
		return key
	}
	if o.obey(handle, label, copyRules) != nil {
		_ = o.module.binding.DestroyObject(o.session, handle) // it ends with the session at the latest
		return key
	}
	return handle
}

// public reads the public key from its own object, of the same label, id and key type as the private one.
func (o objects) public(private pkcs11.ObjectHandle, label string, id []byte) (crypto.PublicKey, error) {
	handle, err := o.one(pkcs11.CKO_PUBLIC_KEY, label, id)
	if err != nil {
		return nil, fmt.Errorf("looking for the public key: %w", err)
	}
	types, err := o.attributes(handle, pkcs11.CKA_KEY_TYPE)
	if err != nil {
		return nil, fmt.Errorf("reading the public key %q: %w", label, err)
	}
	privateTypes, err := o.attributes(private, pkcs11.CKA_KEY_TYPE)
	if err != nil {
		return nil, fmt.Errorf("reading the private key %q: %w", label, err)
	}
	if !bytes.Equal(types[0], privateTypes[0]) {
		return nil, fmt.Errorf("the private and the public object of key %q are of different types", label)
	}
	var public crypto.PublicKey
	switch {
	case bytes.Equal(types[0], pkcs11.NewAttribute(0, uint(pkcs11.CKK_RSA)).Value):
		public, err = o.publicRSA(handle)
	case bytes.Equal(types[0], pkcs11.NewAttribute(0, uint(pkcs11.CKK_EC)).Value),
		bytes.Equal(types[0], pkcs11.NewAttribute(0, uint(ckkECEdwards)).Value):
		public, err = o.publicEC(handle)
	default:
		err = errors.New("its type is neither RSA nor EC nor Edwards")
	}
	if err == nil {
		_, err = algorithmOf(public)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the public key %q: %w", label, err)
	}
	return public, nil
}

func (o objects) publicRSA(handle pkcs11.ObjectHandle) (crypto.PublicKey, error) {
	values, err := o.attributes(handle, pkcs11.CKA_MODULUS, pkcs11.CKA_PUBLIC_EXPONENT)
	if err != nil {
		return nil, err
	}
	exponent := new(big.Int).SetBytes(values[1])
	if exponent.Cmp(big.NewInt(publicExponent)) != 0 {
		return nil, fmt.Errorf("the public exponent is not %d", publicExponent)
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(values[0]), E: publicExponent}, nil
}

// CKA_EC_POINT is an OCTET STRING, in DER, that holds the point (v2.40 mechanisms §2.3.3), uncompressed (SEC 1 §2.3.3) or,
// for Ed25519, as in RFC 8032 §5.1.2.
func (o objects) publicEC(handle pkcs11.ObjectHandle) (crypto.PublicKey, error) {
	values, err := o.attributes(handle, pkcs11.CKA_EC_PARAMS, pkcs11.CKA_EC_POINT)
	if err != nil {
		return nil, err
	}
	return parsePoint(values[0], values[1])
}

func parsePoint(curve, octetString []byte) (crypto.PublicKey, error) {
	input := cryptobyte.String(octetString)
	var point cryptobyte.String
	if !input.ReadASN1(&point, asn1.OCTET_STRING) || !input.Empty() {
		return nil, errors.New("CKA_EC_POINT is not an OCTET STRING")
	}
	if bytes.Equal(algorithms[Ed25519].oid, curve) && len(point) == ed25519.PublicKeySize {
		return ed25519.PublicKey(bytes.Clone(point)), nil
	}
	for _, p := range algorithms {
		if p.curve != nil && bytes.Equal(p.oid, curve) {
			return ecdsa.ParseUncompressedPublicKey(p.curve, point)
		}
	}
	return nil, errors.New("CKA_EC_PARAMS names no curve that is used here")
}
