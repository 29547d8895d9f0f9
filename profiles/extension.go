package profiles

import (
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Extension  ::=  SEQUENCE  {
//      extnID      OBJECT IDENTIFIER,
//      critical    BOOLEAN DEFAULT FALSE,
//      extnValue   OCTET STRING }                     -- RFC 5280 §4.1

const (
	notCritical = false
	critical    = true

	// Product categories of code list G01, read as hexadecimal digits.
	categoryCard     = 0x00
	categoryTestCard = 0x80
)

func extension(id oid, isCritical bool, value func(b *cryptobyte.Builder)) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(id)
		if isCritical {
			b.AddASN1Boolean(true)
		}
		b.AddASN1(asn1.OCTET_STRING, value)
	})
	return b.Bytes()
}

// constantExtension encodes an extension that is the same in all certificates
// of a profile; nothing where the settings leave it out.
func constantExtension(s slot, sh *shape, issuer *Issuer, settings *Settings) ([]byte, error) {
	switch s {
	case slotBasicConstraints:
		return extension(oidBasicConstraints, sh.basicConstraints != endEntity, sh.basicConstraints.add)
	case slotKeyUsage:
		return extension(oidKeyUsage, critical, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.BIT_STRING, func(b *cryptobyte.Builder) { b.AddBytes(sh.keyUsage[:]) })
		})
	case slotExtKeyUsage:
		return extension(oidExtKeyUsage, notCritical, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, id := range sh.extKeyUsage {
					b.AddASN1ObjectIdentifier(id)
				}
			})
		})
	case slotAuthorityKeyIdentifier:
		return extension(oidAuthorityKeyIdentifier, notCritical, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(contextSpecific(0), func(b *cryptobyte.Builder) { b.AddBytes(issuer.KeyID[:]) })
			})
		})
	case slotOCSPNoCheck:
		return extension(oidOCSPNoCheck, notCritical, (*cryptobyte.Builder).AddASN1NULL)
	case slotProductCategory:
		return extension(oidProductCategory, notCritical, func(b *cryptobyte.Builder) {
			b.AddASN1OctetString([]byte{issuer.category()})
		})
	case slotCardType:
		return extension(oidCardType, notCritical, func(b *cryptobyte.Builder) { b.AddASN1Int64(int64(sh.cardType)) })
	}
	return settingsExtension(s, sh, settings)
}

// settingsExtension encodes the extensions that operators set.
func settingsExtension(s slot, sh *shape, settings *Settings) ([]byte, error) {
	switch s {
	case slotCertificatePolicies:
		return certificatePolicies(sh, settings)
	case slotCRLDistributionPoints:
		return distributionPoints(oidCRLDistributionPoints, settings.CRLs...)
	case slotFreshestCRL:
		if settings.DeltaCRL != "" {
			return distributionPoints(oidFreshestCRL, settings.DeltaCRL)
		}
	case slotAuthorityInfoAccess:
		return authorityInfoAccess(settings)
	}
	return nil, nil
}

// category is the product category of the issuer's cards.
func (i *Issuer) category() byte {
	if i.Test {
		return categoryTestCard
	}
	return categoryCard
}

// BasicConstraints ::= SEQUENCE {
//      cA                  BOOLEAN DEFAULT FALSE,
//      pathLenConstraint   INTEGER (0..MAX) OPTIONAL } -- RFC 5280 §4.2.1.9

func (c basicConstraints) add(b *cryptobyte.Builder) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		if c == endEntity {
			return
		}
		b.AddASN1Boolean(true)
		if c == lastAuthority {
			b.AddASN1Int64(0)
		}
	})
}

// certificatePolicies holds one policy and, where a URI is set, the CPS
// pointer qualifier (RFC 5280 §4.2.1.4).
func certificatePolicies(sh *shape, settings *Settings) ([]byte, error) {
	policy := oidAnyPolicy
	if sh.basicConstraints == endEntity {
		if settings.Policy == "" {
			return nil, nil
		}
		parsed, err := parseOID(settings.Policy)
		if err != nil {
			return nil, err
		}
		policy = parsed
	}
	return extension(oidCertificatePolicies, notCritical, func(b *cryptobyte.Builder) {
		addSequences(b, 2, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(policy)
			if settings.PolicyURI == "" {
				return
			}
			addSequences(b, 2, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidQualifierCPS)
				b.AddASN1(asn1.IA5String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(settings.PolicyURI)) })
			})
		})
	})
}

// distributionPoints holds one DistributionPoint per URL, each with a fullName
// of one uniformResourceIdentifier (RFC 5280 §4.2.1.13, §4.2.1.15).
func distributionPoints(id oid, urls ...string) ([]byte, error) {
	if len(urls) == 0 {
		return nil, nil
	}
	return extension(id, notCritical, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, text := range urls {
				addSequences(b, 1, func(b *cryptobyte.Builder) {
					b.AddASN1(contextSpecific(0).Constructed(), func(b *cryptobyte.Builder) {
						b.AddASN1(contextSpecific(0).Constructed(), func(b *cryptobyte.Builder) { addURI(b, text) })
					})
				})
			}
		})
	})
}

// authorityInfoAccess names the responder, then the issuer's certificate
// (RFC 5280 §4.2.2.1).
func authorityInfoAccess(settings *Settings) ([]byte, error) {
	if settings.OCSP == "" && settings.CAIssuers == "" {
		return nil, nil
	}
	return extension(oidAuthorityInfoAccess, notCritical, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addAccess(b, oidAccessOCSP, settings.OCSP)
			addAccess(b, oidAccessCAIssuers, settings.CAIssuers)
		})
	})
}

func addAccess(b *cryptobyte.Builder, method oid, location string) {
	if location == "" {
		return
	}
	addSequences(b, 1, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(method)
		addURI(b, location)
	})
}

// addURI writes a GeneralName of kind uniformResourceIdentifier.
func addURI(b *cryptobyte.Builder, text string) {
	b.AddASN1(contextSpecific(6), func(b *cryptobyte.Builder) { b.AddBytes([]byte(text)) })
}

// addSequences writes content inside depth nested SEQUENCEs.
func addSequences(b *cryptobyte.Builder, depth int, content func(b *cryptobyte.Builder)) {
	if depth == 0 {
		content(b)
		return
	}
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { addSequences(b, depth-1, content) })
}

func contextSpecific(n uint8) asn1.Tag { return asn1.Tag(n).ContextSpecific() }
