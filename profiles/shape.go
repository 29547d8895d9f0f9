package profiles

import (
	"time"

	"cpsca/card"
)

// Name names a profile.
type Name string

// The profiles.
const (
	CPSAuthentication Name = "cps-authentication"
	CPSSignature      Name = "cps-signature"
	CPEAuthentication Name = "cpe-authentication"
	CPESignature      Name = "cpe-signature"

	Root    Name = "root"
	Issuing Name = "issuing"
	OCSP    Name = "ocsp"

	TechnicalRoot    Name = "technical-root"
	TechnicalIssuing Name = "technical-issuing"
	TLSServer        Name = "tls-server"
	TLSClient        Name = "tls-client"
	Officer          Name = "officer"
)

// Names lists every profile in the order of docs/PROFILES.md.
var Names = [...]Name{
	CPSSignature, CPSAuthentication, CPEAuthentication, CPESignature,
	Root, Issuing, OCSP, TechnicalRoot, TechnicalIssuing, TLSServer, TLSClient, Officer,
}

// ForCard returns the profile of a use of a card type; ok is false where
// there is none.
func ForCard(t card.Type, use card.Use) (name Name, ok bool) {
	switch {
	case t == card.CPS && use == card.Authentication:
		return CPSAuthentication, true
	case t == card.CPS && use == card.Signature:
		return CPSSignature, true
	case t == card.CPE && use == card.Authentication:
		return CPEAuthentication, true
	case t == card.CPE && use == card.Signature:
		return CPESignature, true
	}
	return "", false
}

// slot is a place in the list of extensions.
type slot int

const (
	slotBasicConstraints slot = iota + 1
	slotKeyUsage
	slotCertificatePolicies
	slotExtKeyUsage
	slotAuthorityKeyIdentifier
	slotCRLDistributionPoints
	slotFreshestCRL
	slotAuthorityInfoAccess
	slotOCSPNoCheck
	slotProductCategory
	slotCardType
	// The rest differ from certificate to certificate.
	slotSubjectKeyIdentifier
	slotPrivateKeyUsagePeriod
	slotPrincipalName
	slotSubjectAltName
	slotTokenIdentifier
	slotProfession
)

// kind says which facts a profile takes.
type kind int

const (
	kindCard kind = iota + 1
	kindInfrastructure
)

// shape is what a profile is by nature: the code that operators cannot set.
// A change of any field of a shape is a new version of it.
type shape struct {
	version          int
	kind             kind
	basicConstraints basicConstraints
	keyUsage         keyUsage
	extKeyUsage      []oid
	cardType         card.Type
	selfSigned       bool
	subjectAltName   bool // names are required
	crls             bool // distribution points are required
	slots            []slot
	validity         Period // the default
	longest          Period
	minimum          time.Duration
}

// basicConstraints of RFC 5280 §4.2.1.9. End entities carry an empty one,
// not critical, as the cards of the field do.
type basicConstraints int

const (
	endEntity     basicConstraints = iota
	authority                      // cA, critical, no pathLenConstraint
	lastAuthority                  // cA, critical, pathLenConstraint 0
)

// keyUsage is the content of the BIT STRING of RFC 5280 §4.2.1.3: unused
// bits, then the bits.
type keyUsage [2]byte

var (
	digitalSignature = keyUsage{7, 0x80}
	nonRepudiation   = keyUsage{6, 0x40}
	certAndCRLSign   = keyUsage{1, 0x06}
)

const (
	day      = 24 * time.Hour
	cardMin  = 30 * day
	caMin    = day
	ocspMin  = 3 * day
	shortMin = time.Hour
)

var (
	threeYears = Period{Years: 3}

	rootSlots = []slot{
		slotBasicConstraints, slotKeyUsage, slotCertificatePolicies,
		slotSubjectKeyIdentifier, slotAuthorityKeyIdentifier,
	}
	issuingSlots = []slot{
		slotBasicConstraints, slotKeyUsage, slotCertificatePolicies,
		slotCRLDistributionPoints, slotSubjectKeyIdentifier, slotAuthorityKeyIdentifier,
	}
	technicalSlots = []slot{
		slotBasicConstraints, slotSubjectKeyIdentifier, slotAuthorityKeyIdentifier, slotKeyUsage,
		slotCertificatePolicies, slotExtKeyUsage, slotSubjectAltName,
		slotCRLDistributionPoints, slotFreshestCRL, slotAuthorityInfoAccess,
	}
)

var shapes = map[Name]*shape{
	CPSSignature:      signatureCard(card.CPS, slotProfession),
	CPSAuthentication: authenticationCard(card.CPS, slotProfession),
	CPEAuthentication: authenticationCard(card.CPE),
	CPESignature:      signatureCard(card.CPE),
	Root:              rootShape(),
	Issuing:           issuingShape(),
	TechnicalRoot:     rootShape(),
	TechnicalIssuing:  issuingShape(),
	OCSP: {
		version: 1, kind: kindInfrastructure, keyUsage: digitalSignature, extKeyUsage: []oid{oidOCSPSigning},
		slots: []slot{
			slotBasicConstraints, slotSubjectKeyIdentifier, slotAuthorityKeyIdentifier, slotKeyUsage,
			slotCertificatePolicies, slotExtKeyUsage, slotOCSPNoCheck,
		},
		validity: Period{Days: 14}, longest: Period{Days: 90}, minimum: ocspMin,
	},
	TLSServer: {
		version: 1, kind: kindInfrastructure, keyUsage: digitalSignature, extKeyUsage: []oid{oidServerAuth},
		subjectAltName: true, slots: technicalSlots,
		validity: Period{Days: 90}, longest: Period{Years: 1}, minimum: shortMin,
	},
	TLSClient: {
		version: 1, kind: kindInfrastructure, keyUsage: digitalSignature, extKeyUsage: []oid{oidClientAuth},
		slots:    technicalSlots,
		validity: Period{Days: 90}, longest: Period{Years: 1}, minimum: shortMin,
	},
	Officer: {
		version: 1, kind: kindInfrastructure, keyUsage: digitalSignature, extKeyUsage: []oid{oidClientAuth},
		slots:    technicalSlots,
		validity: Period{Years: 1}, longest: threeYears, minimum: shortMin,
	},
}

func rootShape() *shape {
	return &shape{
		version: 1, kind: kindInfrastructure, basicConstraints: authority, keyUsage: certAndCRLSign,
		selfSigned: true, slots: rootSlots,
		validity: Period{Years: 20}, longest: Period{Years: 30}, minimum: caMin,
	}
}

func issuingShape() *shape {
	return &shape{
		version: 1, kind: kindInfrastructure, basicConstraints: lastAuthority, keyUsage: certAndCRLSign,
		crls: true, slots: issuingSlots,
		validity: Period{Years: 10}, longest: Period{Years: 20}, minimum: caMin,
	}
}

func authenticationCard(t card.Type, last ...slot) *shape {
	return &shape{
		version: 1, kind: kindCard, keyUsage: digitalSignature, cardType: t,
		extKeyUsage: []oid{oidClientAuth, oidSmartcardLogon}, crls: true,
		slots:    cardSlots(slotPrincipalName, last),
		validity: threeYears, longest: threeYears, minimum: cardMin,
	}
}

func signatureCard(t card.Type, last ...slot) *shape {
	return &shape{
		version: 1, kind: kindCard, keyUsage: nonRepudiation, cardType: t,
		extKeyUsage: []oid{oidEmailProtection}, crls: true,
		slots:    cardSlots(slotPrivateKeyUsagePeriod, last),
		validity: threeYears, longest: threeYears, minimum: cardMin,
	}
}

func cardSlots(seventh slot, last []slot) []slot {
	return append([]slot{
		slotBasicConstraints, slotSubjectKeyIdentifier, slotAuthorityKeyIdentifier, slotKeyUsage,
		slotCertificatePolicies, slotExtKeyUsage, seventh,
		slotCRLDistributionPoints, slotFreshestCRL, slotAuthorityInfoAccess,
		slotProductCategory, slotCardType, slotTokenIdentifier,
	}, last...)
}
