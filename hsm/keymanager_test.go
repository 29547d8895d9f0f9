package hsm_test

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"math/big"
	"testing"

	"go.step.sm/crypto/kms/apiv1"

	"cpsca/hsm"
)

func TestKeysThroughKeyManager(t *testing.T) {
	token := open(t, freshConfig(t))
	var manager apiv1.KeyManager = token.KeyManager()
	for name, request := range map[string]struct {
		apiv1.CreateKeyRequest
		want hsm.Algorithm
	}{
		"pkcs11:object=ec":  {apiv1.CreateKeyRequest{SignatureAlgorithm: apiv1.ECDSAWithSHA256}, hsm.P256},
		"pkcs11:object=384": {apiv1.CreateKeyRequest{SignatureAlgorithm: apiv1.ECDSAWithSHA384}, hsm.P384},
		"pkcs11:object=rsa": {apiv1.CreateKeyRequest{SignatureAlgorithm: apiv1.SHA256WithRSA, Bits: 2048}, hsm.RSA2048},
		"pkcs11:object=pss": {apiv1.CreateKeyRequest{SignatureAlgorithm: apiv1.SHA256WithRSAPSS}, hsm.RSA3072},
		"pkcs11:object=ed":  {apiv1.CreateKeyRequest{SignatureAlgorithm: apiv1.PureEd25519}, hsm.Ed25519},
	} {
		request.Name = name
		created, err := manager.CreateKey(&request.CreateKeyRequest)
		if err != nil {
			t.Fatalf("%s: creating: %v", name, err)
		}
		if created.Name != name {
			t.Errorf("%s: created as %s", name, created.Name)
		}
		_, err = manager.CreateKey(&request.CreateKeyRequest)
		if !errors.Is(err, apiv1.AlreadyExistsError{}) || !errors.Is(err, hsm.ErrKeyExists) {
			t.Errorf("%s: creating again: got %v", name, err)
		}
		public, err := manager.GetPublicKey(&apiv1.GetPublicKeyRequest{Name: name})
		if err != nil || !public.(interface{ Equal(crypto.PublicKey) bool }).Equal(created.PublicKey) {
			t.Errorf("%s: another public key, %v", name, err)
		}
		signer, err := manager.CreateSigner(&created.CreateSignerRequest)
		if err != nil {
			t.Fatalf("%s: a signer: %v", name, err)
		}
		if signer.(*hsm.Key).Algorithm() != request.want {
			t.Errorf("%s: the key is %s", name, signer.(*hsm.Key).Algorithm())
		}
		// crypto/x509 verifies what it signs.
		_, err = x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{}, public, signer)
		if err != nil {
			t.Errorf("%s: a certificate: %v", name, err)
		}
	}
}

func TestKeyManagerRefusals(t *testing.T) {
	token := open(t, freshConfig(t))
	manager := token.KeyManager()
	_, err := manager.GetPublicKey(&apiv1.GetPublicKeyRequest{Name: "pkcs11:object=none"})
	if !errors.Is(err, apiv1.NotFoundError{}) || !errors.Is(err, hsm.ErrKeyNotFound) {
		t.Errorf("no such key: got %v", err)
	}
	_, err = manager.CreateSigner(&apiv1.CreateSignerRequest{SigningKey: "pkcs11:object=none;token=other"})
	if !errors.Is(err, hsm.ErrTokenNotFound) {
		t.Errorf("another token: got %v", err)
	}
	signer, err := manager.CreateSigner(&apiv1.CreateSignerRequest{SigningKey: "pkcs11:object=none"})
	if err == nil || signer != nil {
		t.Errorf("a signer that is not there: got %v, %v", signer, err)
	}
	for name, request := range map[string]apiv1.CreateKeyRequest{
		"extractable":       {SignatureAlgorithm: apiv1.ECDSAWithSHA256, Extractable: true},
		"no algorithm":      {},
		"P-521":             {SignatureAlgorithm: apiv1.ECDSAWithSHA512},
		"RSA of 1024 bits":  {SignatureAlgorithm: apiv1.SHA256WithRSA, Bits: 1024},
		"a name without as": {Name: "root", SignatureAlgorithm: apiv1.ECDSAWithSHA256},
	} {
		if request.Name == "" {
			request.Name = "pkcs11:object=refused"
		}
		_, err := manager.CreateKey(&request)
		if err == nil {
			t.Errorf("%s was created", name)
		}
	}
	err = manager.Close()
	if err != nil {
		t.Fatal(err)
	}
	_, err = token.Keys(t.Context())
	if !errors.Is(err, hsm.ErrClosed) {
		t.Errorf("closing the manager did not close the token: %v", err)
	}
}
