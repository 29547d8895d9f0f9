package profiles

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"math/big"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

func rsaSPKI(t testing.TB) []byte {
	return readCertificate(t, "cps-signature.pem").RawSubjectPublicKeyInfo
}

func TestParseSPKIReadsTheCanonicalKeysOfX509(t *testing.T) {
	small := &rsa.PublicKey{N: big.NewInt(0x8001), E: 3}
	odd := &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 1023), E: 65537}
	for name, pub := range map[string]crypto.PublicKey{
		"P-224": fixedKey(t, elliptic.P224(), "a").Public(), "P-256": fixedKey(t, elliptic.P256(), "a").Public(),
		"P-384": fixedKey(t, elliptic.P384(), "a").Public(), "a tiny RSA key with e=3": small, "an RSA key with a high bit": odd,
	} {
		t.Run(name, func(t *testing.T) {
			spki := spkiOf(t, pub)
			got, err := ParseSPKI(spki)
			if err != nil {
				t.Fatal(err)
			}
			if !got.(interface{ Equal(crypto.PublicKey) bool }).Equal(pub) {
				t.Fatal("another key came back")
			}
		})
	}
}

func TestSubjectKeyIDIsThatOfTheField(t *testing.T) {
	for _, name := range []string{"cps-signature.pem", "cpe-authentication.der", "ca-root.pem", "ca-issuing.pem"} {
		cert := readCertificate(t, name)
		got, err := SubjectKeyID(cert.RawSubjectPublicKeyInfo)
		if err != nil || !bytes.Equal(got[:], cert.SubjectKeyId) {
			t.Errorf("%s: got %x, %v; want %x", name, got, err, cert.SubjectKeyId)
		}
	}
}

func TestKeyFingerprintIsOverModulusOrPoint(t *testing.T) {
	key := readCertificate(t, "cps-signature.pem").PublicKey.(*rsa.PublicKey)
	got, err := KeyFingerprint(rsaSPKI(t))
	if want := sha256.Sum256(key.N.Bytes()); err != nil || got != want {
		t.Fatalf("RSA: got %x, %v; want %x", got, err, want)
	}
	ec := fixedKey(t, elliptic.P384(), "a")
	point, err := ec.PublicKey.Bytes()
	if err != nil || point[0] != 4 {
		t.Fatal(err)
	}
	got, err = KeyFingerprint(spkiOf(t, ec.Public()))
	if want := sha256.Sum256(point); err != nil || got != want {
		t.Fatalf("EC: got %x, %v; want %x", got, err, want)
	}
}

func build(content func(b *builder)) []byte {
	var b builder
	content(&b)
	return b.BytesOrPanic()
}

func TestRefusesBySection7KeysThatAreNotCanonical(t *testing.T) {
	good := rsaSPKI(t)
	key := readCertificate(t, "cps-signature.pem").PublicKey.(*rsa.PublicKey)
	ec := fixedKey(t, elliptic.P256(), "a")
	point, err := ec.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	offCurve := bytes.Clone(point)
	offCurve[40] ^= 1
	spki := func(algorithm []byte, bits []byte) []byte {
		return build(func(b *builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *builder) { b.AddBytes(algorithm); b.AddASN1BitString(bits) })
		})
	}
	sequence := func(parts ...[]byte) []byte {
		return build(func(b *builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *builder) { b.AddBytes(bytes.Join(parts, nil)) })
		})
	}
	integer := func(n int64) []byte { return build(func(b *builder) { b.AddASN1Int64(n) }) }
	modulus := build(func(b *builder) { b.AddASN1BigInt(key.N) })
	rsaOID, null := encoded(oidRSAEncryption), []byte{5, 0}
	for name, tt := range map[string]struct {
		spki []byte
		want error
	}{
		"nothing":                                {nil, ErrNotCanonical},
		"something behind it":                    {append(bytes.Clone(good), 0), ErrNotCanonical},
		"cut short":                              {good[:len(good)-1], ErrNotCanonical},
		"a length in too many octets":            {append([]byte{0x30, 0x83, 0, 1, 0x22}, good[4:]...), ErrNotCanonical},
		"RSA without parameters":                 {spki(sequence(rsaOID), sequence(modulus, integer(65537))), ErrNotCanonical},
		"RSA with other parameters":              {spki(sequence(rsaOID, []byte{4, 0}), sequence(modulus, integer(65537))), ErrNotCanonical},
		"RSA with a negative exponent":           {spki(sequence(rsaOID, null), sequence(modulus, integer(-3))), ErrNotCanonical},
		"RSA with exponent 0":                    {spki(sequence(rsaOID, null), sequence(modulus, integer(0))), ErrNotCanonical},
		"RSA with a negative modulus":            {spki(sequence(rsaOID, null), sequence(integer(-5), integer(3))), ErrNotCanonical},
		"RSA with an exponent of 40 bits":        {spki(sequence(rsaOID, null), sequence(modulus, integer(1<<40+1))), ErrUnsupportedKey},
		"RSA with a padded exponent":             {spki(sequence(rsaOID, null), sequence(modulus, []byte{2, 4, 0, 1, 0, 1})), ErrNotCanonical},
		"RSA with something behind the exponent": {spki(sequence(rsaOID, null), sequence(modulus, integer(3), null)), ErrNotCanonical},
		"RSA with something behind the sequence": {spki(sequence(rsaOID, null), append(sequence(modulus, integer(3)), 0)), ErrNotCanonical},
		"an unused bit":                          {sequence(sequence(rsaOID, null), []byte{3, 2, 1, 0xfe}), ErrNotCanonical},
		"a compressed point":                     {spki(sequence(encoded(oidECPublicKey), encoded(oidP256)), elliptic.MarshalCompressed(elliptic.P256(), ec.X, ec.Y)), ErrNotCanonical},
		"a hybrid point":                         {spki(sequence(encoded(oidECPublicKey), encoded(oidP256)), append([]byte{6}, point[1:]...)), ErrNotCanonical},
		"a point off its curve":                  {spki(sequence(encoded(oidECPublicKey), encoded(oidP256)), offCurve), ErrNotCanonical},
		"the point at infinity":                  {spki(sequence(encoded(oidECPublicKey), encoded(oidP256)), []byte{0}), ErrNotCanonical},
		"a point of another curve":               {spki(sequence(encoded(oidECPublicKey), encoded(oidP384)), point), ErrNotCanonical},
		"a curve that is not named":              {spki(sequence(encoded(oidECPublicKey), sequence(integer(1))), point), ErrNotCanonical},
		"secp256k1":                              {spki(sequence(encoded(oidECPublicKey), encoded(oid{1, 3, 132, 0, 10})), point), ErrUnsupportedKey},
		"RSASSA-PSS":                             {spki(sequence(encoded(oid{1, 2, 840, 113549, 1, 1, 10})), sequence(modulus, integer(65537))), ErrUnsupportedKey},
		"Ed25519 with parameters":                {spki(sequence(encoded(oidEd25519), null), make([]byte, 32)), ErrUnsupportedKey},
		"Ed25519 of 31 octets":                   {spki(sequence(encoded(oidEd25519)), make([]byte, 31)), ErrNotCanonical},
		"far too long":                           {make([]byte, 1<<20), ErrUnsupportedKey},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseSPKI(tt.spki)
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			leaf := testLeaf(t, CPSSignature)
			leaf.SPKI = tt.spki
			_, err = compile(t, CPSSignature, testIssuer(t), demoSettings("issuing")).Check(leaf)
			if r := refusal(t, err); !errors.Is(err, tt.want) || r.Field != "subjectPublicKeyInfo" {
				t.Fatalf("Check: got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestAlgorithmsFollowTheKeyAndHaveTheirIdentifiers(t *testing.T) {
	for _, tt := range []struct {
		pub        crypto.PublicKey
		want       SignatureAlgorithm
		hash       crypto.Hash
		identifier []byte
	}{
		{&rsa.PublicKey{}, SHA256WithRSA, crypto.SHA256, []byte{0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11, 5, 0}},
		{&ecdsa.PublicKey{Curve: elliptic.P256()}, ECDSAWithSHA256, crypto.SHA256, []byte{0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2}},
		{&ecdsa.PublicKey{Curve: elliptic.P384()}, ECDSAWithSHA384, crypto.SHA384, []byte{0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3}},
		{ed25519.PublicKey{}, Ed25519, crypto.Hash(0), []byte{0x30, 5, 6, 3, 0x2b, 0x65, 0x70}},
	} {
		got, err := AlgorithmFor(tt.pub)
		if err != nil || got != tt.want || got.Hash() != tt.hash || !bytes.Equal(got.Identifier(), tt.identifier) {
			t.Errorf("%s: got %v, %v, %v, %x", tt.want, got, err, got.Hash(), got.Identifier())
		}
	}
	for _, pub := range []crypto.PublicKey{nil, &ed25519.PublicKey{}, &ecdsa.PublicKey{Curve: elliptic.P521()}, rsa.PublicKey{}} {
		_, err := AlgorithmFor(pub)
		if !errors.Is(err, ErrUnsupportedKey) {
			t.Errorf("%T: %v", pub, err)
		}
	}
	if SignatureAlgorithm(0).Hash() != 0 || SignatureAlgorithm(9).Identifier() != nil {
		t.Error("an unknown algorithm has a hash or an identifier")
	}
}

// An issuer may have an Ed25519 key; what it certifies may not.
func TestAnEd25519KeyIsAnIssuersAlone(t *testing.T) {
	spki := spkiOf(t, ed25519.NewKeyFromSeed(make([]byte, 32)).Public())
	key, err := ParseKey(spki)
	if err != nil || !bytes.Equal(key.SPKI(), spki) || !key.Public().(ed25519.PublicKey).Equal(ed25519.NewKeyFromSeed(make([]byte, 32)).Public()) {
		t.Fatalf("got %v, %v", key, err)
	}
	leaf := testLeaf(t, CPSSignature)
	leaf.SPKI = spki
	_, err = compile(t, CPSSignature, testIssuer(t), demoSettings("issuing")).Check(leaf)
	if r := refusal(t, err); !errors.Is(err, ErrUnsupportedKey) || r.Field != "subjectPublicKeyInfo" {
		t.Fatalf("a card: got %v", err)
	}
	one := Infrastructure{Serial: serial(1), NotBefore: start, SPKI: spki, Subject: distinguishedName(t, "somebody")}
	_, err = compile(t, OCSP, testIssuer(t), demoSettings("issuing")).CheckInfrastructure(one)
	if !errors.Is(err, ErrUnsupportedKey) {
		t.Fatalf("a responder: got %v", err)
	}
	_, err = compile(t, Issuing, testIssuer(t), demoSettings("root")).CheckInfrastructure(one)
	if err != nil {
		t.Fatalf("an issuer: got %v", err)
	}
}

// A key that was read already is certified as its octets would be.
func TestAKeyThatWasReadGivesTheSameCertificate(t *testing.T) {
	p := compile(t, CPSSignature, testIssuer(t), demoSettings("issuing"))
	leaf := testLeaf(t, CPSSignature)
	want, err := p.Check(leaf)
	if err != nil {
		t.Fatal(err)
	}
	leaf.Key, err = ParseKey(leaf.SPKI)
	if err != nil {
		t.Fatal(err)
	}
	leaf.SPKI = nil
	got, err := p.Check(leaf)
	if err != nil || !bytes.Equal(got.TBS(), want.TBS()) || got.Key() != want.Key() {
		t.Fatalf("got %x, %v, want %x", got.TBS(), err, want.TBS())
	}
}

// FuzzParseSPKI: what is accepted is read by crypto/x509 too and written by it
// with the same octets.
func FuzzParseSPKI(f *testing.F) {
	f.Add(rsaSPKI(f))
	for _, curve := range []elliptic.Curve{elliptic.P224(), elliptic.P256(), elliptic.P384()} {
		f.Add(spkiOf(f, fixedKey(f, curve, "a").Public()))
	}
	f.Add(spkiOf(f, ed25519.NewKeyFromSeed(make([]byte, 32)).Public()))
	f.Fuzz(func(t *testing.T, spki []byte) {
		key, err := ParseSPKI(spki)
		if err != nil {
			if !errors.Is(err, ErrNotCanonical) && !errors.Is(err, ErrUnsupportedKey) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		theirs, err := x509.ParsePKIXPublicKey(spki)
		if err != nil {
			t.Fatalf("crypto/x509 refuses %x: %v", spki, err)
		}
		again, err := x509.MarshalPKIXPublicKey(theirs)
		if err != nil || !bytes.Equal(again, spki) {
			t.Fatalf("crypto/x509 writes %x for %x", again, spki)
		}
		if !key.(interface{ Equal(crypto.PublicKey) bool }).Equal(theirs) {
			t.Fatal("two keys in one encoding")
		}
	})
}

// FuzzAssemble: what is accepted is one SEQUENCE of three whose algorithm is
// the one inside.
func FuzzAssemble(f *testing.F) {
	cert := readCertificate(f, "cpe-authentication.der")
	f.Add(cert.RawTBSCertificate, cert.Signature)
	f.Add([]byte{0x30, 0}, []byte{1})
	f.Fuzz(func(t *testing.T, tbs, signature []byte) {
		der, err := Assemble(tbs, signature)
		if err != nil {
			return
		}
		input := cryptobyte.String(der)
		var whole, first, second cryptobyte.String
		var value asn1.BitString
		if !input.ReadASN1(&whole, cbasn1.SEQUENCE) || !input.Empty() || !whole.ReadASN1Element(&first, cbasn1.SEQUENCE) ||
			!whole.ReadASN1Element(&second, cbasn1.SEQUENCE) || !whole.ReadASN1BitString(&value) || !whole.Empty() {
			t.Fatalf("%x is not a Certificate", der)
		}
		if !bytes.Equal(first, tbs) || !bytes.Contains(tbs, second) || !bytes.Equal(value.Bytes, signature) {
			t.Fatal("not what was given")
		}
	})
}
