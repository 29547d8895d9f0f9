package profiles

import (
	"bytes"
	"crypto/elliptic"
	"crypto/sha1"
	"encoding/asn1"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"cpsca/card"
	"cpsca/registry"
)

// The oracle is a second implementation of the profiles, written with
// cryptobyte alone from the tables of docs/PROFILES.md: it shares neither the
// shapes nor the builder with the first.

type oracle struct {
	issuer   Issuer
	settings Settings
}

type builder = cryptobyte.Builder

func (o *oracle) tbs(t testing.TB, sn card.Serial, notBefore, notAfter time.Time, subject, extensions func(b *builder), spki []byte) []byte {
	t.Helper()
	var b builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *builder) {
		b.AddASN1(cbasn1.Tag(0).ContextSpecific().Constructed(), func(b *builder) { b.AddASN1Int64(2) })
		b.AddASN1(cbasn1.INTEGER, func(b *builder) { b.AddBytes(sn[:]) })
		b.AddASN1(cbasn1.SEQUENCE, func(b *builder) {
			switch o.issuer.Algorithm {
			case SHA256WithRSA:
				b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11})
				b.AddASN1NULL()
			case ECDSAWithSHA256:
				b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2})
			case ECDSAWithSHA384:
				b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3})
			}
		})
		b.AddBytes(o.issuer.Name)
		b.AddASN1(cbasn1.SEQUENCE, func(b *builder) {
			for _, at := range []time.Time{notBefore, notAfter} {
				if at.Year() < 2050 {
					b.AddASN1UTCTime(at)
				} else {
					b.AddASN1GeneralizedTime(at)
				}
			}
		})
		subject(b)
		b.AddBytes(spki)
		b.AddASN1(cbasn1.Tag(3).ContextSpecific().Constructed(), func(b *builder) { b.AddASN1(cbasn1.SEQUENCE, extensions) })
	})
	der, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func oracleAttribute(arc int, text string) func(b *builder) {
	return func(b *builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *builder) {
			b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{2, 5, 4, arc})
			tag := cbasn1.UTF8String
			if arc == 6 {
				tag = cbasn1.PrintableString
			}
			b.AddASN1(tag, func(b *builder) { b.AddBytes([]byte(text)) })
		})
	}
}

// oracleSet writes a SET OF by trying every order and keeping the smallest.
func oracleSet(b *builder, members ...func(b *builder)) {
	var encodings [][]byte
	for _, member := range members {
		var one builder
		member(&one)
		encodings = append(encodings, one.BytesOrPanic())
	}
	var best []byte
	var permute func(taken []byte, left [][]byte)
	permute = func(taken []byte, left [][]byte) {
		if len(left) == 0 && (best == nil || bytes.Compare(taken, best) < 0) {
			best = bytes.Clone(taken)
		}
		for i := range left {
			rest := append(append([][]byte{}, left[:i]...), left[i+1:]...)
			permute(append(bytes.Clone(taken), left[i]...), rest)
		}
	}
	permute(nil, encodings)
	b.AddASN1(cbasn1.SET, func(b *builder) { b.AddBytes(best) })
}

func oracleExtension(b *builder, isCritical bool, value func(b *builder), arcs ...int) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *builder) {
		b.AddASN1ObjectIdentifier(arcs)
		if isCritical {
			b.AddASN1Boolean(true)
		}
		b.AddASN1(cbasn1.OCTET_STRING, value)
	})
}

func oracleSequence(content func(b *builder)) func(b *builder) {
	return func(b *builder) { b.AddASN1(cbasn1.SEQUENCE, content) }
}

func oracleRaw(octets ...byte) func(b *builder) {
	return func(b *builder) { b.AddBytes(octets) }
}

func oracleURIs(urls ...string) func(b *builder) {
	return oracleSequence(func(b *builder) {
		for _, text := range urls {
			b.AddASN1(cbasn1.SEQUENCE, func(b *builder) {
				b.AddASN1(0xa0, func(b *builder) {
					b.AddASN1(0xa0, func(b *builder) {
						b.AddASN1(0x86, func(b *builder) { b.AddBytes([]byte(text)) })
					})
				})
			})
		}
	})
}

// head writes the first extensions of all end entities up to the policies.
func (o *oracle) head(b *builder, usage []byte, spki []byte, policy asn1.ObjectIdentifier) {
	var bits asn1.BitString
	var info struct {
		Algorithm asn1.RawValue
		Key       asn1.BitString
	}
	_, err := asn1.Unmarshal(spki, &info)
	if err != nil {
		panic(err)
	}
	bits = info.Key
	id := sha1.Sum(bits.Bytes)
	oracleExtension(b, false, oracleRaw(0x30, 0), 2, 5, 29, 19)
	oracleExtension(b, false, func(b *builder) { b.AddASN1OctetString(id[:]) }, 2, 5, 29, 14)
	oracleExtension(b, false, oracleSequence(func(b *builder) {
		b.AddASN1(0x80, func(b *builder) { b.AddBytes(o.issuer.KeyID[:]) })
	}), 2, 5, 29, 35)
	oracleExtension(b, true, oracleRaw(usage...), 2, 5, 29, 15)
	oracleExtension(b, false, oracleSequence(oracleSequence(func(b *builder) {
		b.AddASN1ObjectIdentifier(policy)
		b.AddASN1(cbasn1.SEQUENCE, oracleSequence(func(b *builder) {
			b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 2, 1})
			b.AddASN1(cbasn1.IA5String, func(b *builder) { b.AddBytes([]byte(o.settings.PolicyURI)) })
		}))
	})), 2, 5, 29, 32)
}

func (o *oracle) publication(b *builder) {
	oracleExtension(b, false, oracleURIs(o.settings.CRLs...), 2, 5, 29, 31)
	oracleExtension(b, false, oracleURIs(o.settings.DeltaCRL), 2, 5, 29, 46)
	oracleExtension(b, false, oracleSequence(func(b *builder) {
		for i, text := range []string{o.settings.OCSP, o.settings.CAIssuers} {
			b.AddASN1(cbasn1.SEQUENCE, func(b *builder) {
				b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1 + i})
				b.AddASN1(0x86, func(b *builder) { b.AddBytes([]byte(text)) })
			})
		}
	}), 1, 3, 6, 1, 5, 5, 7, 1, 1)
}

var oraclePolicy = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1, 1}

// oracleTexts are the subject's texts after the rules on texts.
type oracleTexts struct{ family, given, title, department, organization string }

func (o *oracle) card(t testing.TB, name Name, leaf *Leaf, texts oracleTexts) []byte {
	until := leaf.NotBefore.AddDate(3, 0, 0)
	signature := name == CPSSignature || name == CPESignature
	staffCard := name == CPEAuthentication || name == CPESignature
	subject := oracleSequence(func(b *builder) {
		oracleSet(b, oracleAttribute(6, "FR"))
		if staffCard {
			oracleSet(b, oracleAttribute(8, texts.department))
			oracleSet(b, oracleAttribute(10, texts.organization))
			oracleSet(b, oracleAttribute(11, leaf.Holder.Structure.ID))
		}
		oracleSet(b, oracleAttribute(12, texts.title))
		oracleSet(b, oracleAttribute(4, texts.family), oracleAttribute(42, texts.given), oracleAttribute(3, string(leaf.Holder.ID)))
	})
	extensions := func(b *builder) {
		usage, purposes := []byte{3, 2, 7, 0x80}, []asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 2}, {1, 3, 6, 1, 4, 1, 311, 20, 2, 2}}
		if signature {
			usage, purposes = []byte{3, 2, 6, 0x40}, []asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 4}}
		}
		o.head(b, usage, leaf.SPKI, oraclePolicy)
		oracleExtension(b, false, oracleSequence(func(b *builder) {
			for _, purpose := range purposes {
				b.AddASN1ObjectIdentifier(purpose)
			}
		}), 2, 5, 29, 37)
		if signature {
			const layout = "20060102150405Z"
			oracleExtension(b, false, oracleSequence(func(b *builder) {
				b.AddASN1(0x80, func(b *builder) { b.AddBytes([]byte(leaf.NotBefore.Format(layout))) })
				b.AddASN1(0x81, func(b *builder) { b.AddBytes([]byte(until.Format(layout))) })
			}), 2, 5, 29, 16)
		} else {
			oracleExtension(b, false, oracleSequence(func(b *builder) {
				b.AddASN1(0xa0, func(b *builder) {
					b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3})
					b.AddASN1(0xa0, func(b *builder) {
						b.AddASN1(cbasn1.UTF8String, func(b *builder) { b.AddBytes([]byte(string(leaf.Holder.ID) + "@carte-cps.example")) })
					})
				})
			}), 2, 5, 29, 17)
		}
		o.publication(b)
		oracleExtension(b, false, oracleRaw(4, 1, 0x80), 1, 2, 250, 1, 71, 1, 2, 5)
		cardType := int64(0)
		if staffCard {
			cardType = 2
		}
		oracleExtension(b, false, func(b *builder) { b.AddASN1Int64(cardType) }, 1, 2, 250, 1, 71, 1, 2, 2)
		oracleExtension(b, false, func(b *builder) {
			b.AddASN1(cbasn1.PrintableString, func(b *builder) { b.AddBytes([]byte("8025000001/" + string(leaf.Number))) })
		}, 1, 2, 250, 1, 71, 1, 2, 3)
		if !staffCard {
			oracleExtension(b, false, func(b *builder) { b.AddASN1Int64(int64(leaf.Holder.Profession)) }, 1, 2, 250, 1, 71, 1, 2, 7)
		}
	}
	return o.tbs(t, leaf.Serial, leaf.NotBefore, until, subject, extensions, leaf.SPKI)
}

// oracleTitles writes anew what G15 says of a few codes.
var oracleTitles = map[registry.ProfessionCode]string{10: "Médecin", 21: "Pharmacien", 40: "Chirurgien-Dentiste", 60: "Infirmier"}

func oracleFor(t testing.TB) *oracle {
	return &oracle{issuer: testIssuer(t), settings: demoSettings("issuing")}
}

func compareCard(t *testing.T, o *oracle, p *Profile, leaf Leaf) {
	t.Helper()
	checked, err := p.Check(leaf)
	if err != nil {
		return // refusals have their own tests
	}
	texts := oracleTexts{title: oracleTitles[leaf.Holder.Profession]}
	texts.family, _ = familyName(leaf.Holder.FamilyName)
	texts.given, _ = givenName(leaf.Holder.GivenName)
	if p.shape.cardType == card.CPE {
		texts.title = "Personnel santé ou social"
		texts.department, _ = department(leaf.Holder.Structure.Department)
		texts.organization, _ = organization(leaf.Holder.Structure.Name)
	}
	sameBytes(t, checked.TBS(), o.card(t, p.name, &leaf, texts))
}

// FuzzCardsAreWhatTheOracleBuilds: whatever Check accepts is built alike by
// both implementations.
func FuzzCardsAreWhatTheOracleBuilds(f *testing.F) {
	o := oracleFor(f)
	compiled := map[Name]*Profile{}
	for _, name := range []Name{CPSSignature, CPSAuthentication, CPEAuthentication, CPESignature} {
		compiled[name] = compile(f, name, o.issuer, o.settings)
	}
	spkis := [][]byte{
		spkiOf(f, fixedKey(f, elliptic.P256(), "leaf").Public()), spkiOf(f, fixedKey(f, elliptic.P384(), "leaf").Public()),
		readCertificate(f, "cps-signature.pem").RawSubjectPublicKeyInfo,
	}
	f.Add("INFIRMCS ADELI8751", "OLIVIER", "HOPITAL DES 3 DAMES", "Paris (75)", byte(3), uint32(0))
	f.Add("L’Hôpital-Durand", "Zoe\u0301 Anne", "AGENCE DES SYSTEMES D'INFORMATION PARTAGES", "Corse-du-Sud (2A)", byte(9), uint32(77))
	f.Add("D", "A", "X", "Y (01)", byte(4), uint32(1<<30))
	f.Fuzz(func(t *testing.T, family, given, structure, dept string, pick byte, seconds uint32) {
		codes := []registry.ProfessionCode{10, 21, 40, 60}
		leaf := Leaf{
			Serial: serial(pick), Number: "0123456789", SPKI: spkis[int(pick)%len(spkis)],
			NotBefore: start.Add(time.Duration(seconds%100000000) * time.Second),
		}
		if leaf.NotBefore.Month() == time.February && leaf.NotBefore.Day() == 29 || leaf.NotBefore.Year() > 2027 {
			leaf.NotBefore = start
		}
		for name, p := range compiled {
			leaf.Holder = Holder{ID: "899700075122", FamilyName: family, GivenName: given, Profession: codes[int(pick)%len(codes)]}
			if p.shape.cardType == card.CPE {
				leaf.Holder.ID, leaf.Holder.Profession = "30B0057881/CPET0002", 0
				leaf.Holder.Structure = Structure{Name: structure, ID: "10B0057881", Department: dept}
			}
			compareCard(t, o, compiled[name], leaf)
		}
	})
}

func TestInfrastructureIsWhatTheOracleBuilds(t *testing.T) {
	o := oracleFor(t)
	spki := spkiOf(t, fixedKey(t, elliptic.P384(), "infrastructure").Public())
	subject := distinguishedName(t, "node")
	purposes := map[Name]int{OCSP: 9, TLSServer: 1, TLSClient: 2, Officer: 2}
	// 2049 turns into 2050 in between, so that both forms of Time are there.
	for _, from := range []time.Time{start, time.Date(2049, time.December, 31, 0, 0, 0, 0, time.UTC), time.Date(2050, time.March, 1, 0, 0, 0, 0, time.UTC)} {
		until := from.AddDate(0, 0, 14)
		o.issuer.NotBefore, o.issuer.NotAfter = from, from.AddDate(1, 0, 0)
		for name, purpose := range purposes {
			one := Infrastructure{Serial: serial(2), NotBefore: from, NotAfter: until, SPKI: spki, Subject: subject}
			if name == TLSServer {
				one.DNSNames = []string{"a.example", "b-1.example"}
				one.IPs = []netip.Addr{netip.MustParseAddr("::ffff:10.0.0.1"), netip.MustParseAddr("2001:db8::1")}
			}
			checked, err := compile(t, name, o.issuer, o.settings).CheckInfrastructure(one)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			want := o.tbs(t, one.Serial, from, until, func(b *builder) { b.AddBytes(subject) }, func(b *builder) {
				o.head(b, []byte{3, 2, 7, 0x80}, spki, oraclePolicy)
				oracleExtension(b, false, oracleSequence(func(b *builder) {
					b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, purpose})
				}), 2, 5, 29, 37)
				if name == OCSP {
					oracleExtension(b, false, oracleRaw(5, 0), 1, 3, 6, 1, 5, 5, 7, 48, 1, 5)
					return
				}
				if name == TLSServer {
					oracleExtension(b, false, oracleSequence(func(b *builder) {
						b.AddASN1(0x82, oracleRaw([]byte("a.example")...))
						b.AddASN1(0x82, oracleRaw([]byte("b-1.example")...))
						b.AddASN1(0x87, oracleRaw(10, 0, 0, 1))
						b.AddASN1(0x87, oracleRaw(0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1))
					}), 2, 5, 29, 17)
				}
				o.publication(b)
			}, spki)
			sameBytes(t, checked.TBS(), want)
		}
	}
}
