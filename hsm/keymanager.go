package hsm

import (
	"crypto"
	"errors"
	"fmt"

	"go.step.sm/crypto/kms/apiv1"
)

// KeyManager shows the keys of a Token through kms/apiv1, for software that knows keys only so. Names are key URIs,
// see URI; a token or serial in a name must be that of the Token. It may be used by several goroutines.
type KeyManager struct {
	token *Token
}

var _ apiv1.KeyManager = (*KeyManager)(nil)

// KeyManager returns a view of t.
func (t *Token) KeyManager() *KeyManager { return &KeyManager{t} }

// signatureAlgorithms maps a requested signature to a key; RSA sizes come with the request.
var signatureAlgorithms = map[apiv1.SignatureAlgorithm]Algorithm{
	apiv1.ECDSAWithSHA256: P256,
	apiv1.ECDSAWithSHA384: P384,
	apiv1.PureEd25519:     Ed25519,
}

var rsaSizes = map[int]Algorithm{0: RSA3072, 2048: RSA2048, 3072: RSA3072, 4096: RSA4096}

// GetPublicKey returns the public key of the key named by req.Name; apiv1.NotFoundError if there is none.
func (m *KeyManager) GetPublicKey(req *apiv1.GetPublicKeyRequest) (crypto.PublicKey, error) {
	key, err := m.key(req.Name)
	if err != nil {
		return nil, err
	}
	return key.Public(), nil
}

// CreateKey makes a key as Token.Generate does. The signature algorithm must be given; an RSA key has 3072 bits unless
// req.Bits says 2048 or 4096. An extractable key is refused; apiv1.AlreadyExistsError if the label is in use.
func (m *KeyManager) CreateKey(req *apiv1.CreateKeyRequest) (*apiv1.CreateKeyResponse, error) {
	label, err := m.label(req.Name)
	if err != nil {
		return nil, err
	}
	if req.Extractable {
		return nil, errors.New("creating a key: no key here is extractable")
	}
	algorithm, ok := signatureAlgorithms[req.SignatureAlgorithm]
	switch req.SignatureAlgorithm {
	case apiv1.SHA256WithRSA, apiv1.SHA384WithRSA, apiv1.SHA512WithRSA,
		apiv1.SHA256WithRSAPSS, apiv1.SHA384WithRSAPSS, apiv1.SHA512WithRSAPSS:
		algorithm, ok = rsaSizes[req.Bits]
	}
	if !ok {
		return nil, fmt.Errorf("creating a key: %s with %d bits is not used here", req.SignatureAlgorithm, req.Bits)
	}
	key, err := m.token.Generate(m.token.life, label, algorithm)
	if errors.Is(err, ErrKeyExists) {
		return nil, errors.Join(err, apiv1.AlreadyExistsError{})
	}
	if err != nil {
		return nil, err
	}
	name := URI{Object: label}.String()
	return &apiv1.CreateKeyResponse{
		Name:                name,
		PublicKey:           key.Public(),
		CreateSignerRequest: apiv1.CreateSignerRequest{SigningKey: name},
	}, nil
}

// CreateSigner returns the *Key named by req.SigningKey; apiv1.NotFoundError if there is none.
func (m *KeyManager) CreateSigner(req *apiv1.CreateSignerRequest) (crypto.Signer, error) {
	key, err := m.key(req.SigningKey)
	if err != nil {
		return nil, err
	}
	return key, nil
}

// Close closes the Token.
func (m *KeyManager) Close() error { return m.token.Close() }

func (m *KeyManager) key(name string) (*Key, error) {
	label, err := m.label(name)
	if err != nil {
		return nil, err
	}
	key, err := m.token.Key(m.token.life, label)
	if errors.Is(err, ErrKeyNotFound) {
		return nil, errors.Join(err, apiv1.NotFoundError{})
	}
	return key, err
}

// label returns the label in a name that may be of this token.
func (m *KeyManager) label(name string) (string, error) {
	uri, err := ParseURI(name)
	if err != nil {
		return "", fmt.Errorf("reading a key name: %w", err)
	}
	info := m.token.Info()
	if uri.Token != "" && uri.Token != info.Label || uri.Serial != "" && uri.Serial != info.Serial {
		return "", fmt.Errorf("reading a key name: it is of another token: %w", ErrTokenNotFound)
	}
	return uri.Object, nil
}
