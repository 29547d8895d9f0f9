package profiles

import (
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Bounds and defaults of settings.
const (
	defaultUPNSuffix  = "@carte-cps.example"
	defaultCardIssuer = "8025000001"
	maxURL            = 1024
	maxCRLs           = 4
	maxUPNSuffix      = 64
)

// Settings are what operators decide about the certificates of one issuer.
// The zero value of a field means what its comment says. A Settings is not
// changed here and may be shared.
type Settings struct {
	// Policy is the dotted object identifier in certificatePolicies of leaf
	// certificates; empty: no such extension, which cards refuse. Root and
	// issuing certificates always carry anyPolicy.
	Policy string
	// PolicyURI is where the policy is published, http or https; empty: no
	// qualifier.
	PolicyURI string
	// CRLs are the distribution points of the issuer's list, at most four,
	// HTTP before LDAP, percent-encoded; empty: no such extension, which
	// cards and issuing certificates refuse.
	CRLs []string
	// DeltaCRL is where the issuer's delta list is (freshestCRL), http or
	// ldap; empty: no such extension.
	DeltaCRL string
	// OCSP is the responder's URL, http; empty: absent, which cards refuse.
	OCSP string
	// CAIssuers is where the issuer's certificate is, http; empty: absent.
	CAIssuers string
	// UPNSuffix follows the national identifier in the principal name of
	// authentication cards: '@' and a domain of at most 63 characters;
	// empty: "@carte-cps.example".
	UPNSuffix string
	// CardIssuer is the national identifier of who issues the cards, ten
	// digits before the slash of the token identifier; empty: "8025000001".
	CardIssuer string
	// Validity is how long certificates live; zero: the default of the
	// profile. Compile refuses what is longer than the profile allows.
	Validity Period
	// RSA2048NotAfter is the last second of certificates for RSA keys below
	// 3072 bits; zero: 2030-12-31T23:59:59Z.
	RSA2048NotAfter time.Time
}

// Validate checks every field against its bounds and returns a *Refusal
// naming the first that is outside. What a profile needs besides is checked by
// Compile.
func (s *Settings) Validate() error {
	if s.Policy != "" {
		_, err := parseOID(s.Policy)
		if err != nil {
			return err
		}
	}
	if len(s.CRLs) > maxCRLs {
		return refuse("CRLs", ruleSettings, "are more than four")
	}
	ldap := false
	for _, text := range s.CRLs {
		if ldap && !strings.HasPrefix(text, "ldap:") {
			return refuse("CRLs", ruleSettings, "name LDAP before HTTP")
		}
		ldap = strings.HasPrefix(text, "ldap:")
		err := checkURL("CRLs", text, "http", "ldap")
		if err != nil {
			return err
		}
	}
	for _, one := range []struct {
		field, text string
		schemes     []string
	}{
		{"PolicyURI", s.PolicyURI, []string{"http", "https"}},
		{"DeltaCRL", s.DeltaCRL, []string{"http", "ldap"}},
		{"OCSP", s.OCSP, []string{"http"}},
		{"CAIssuers", s.CAIssuers, []string{"http"}},
	} {
		if one.text == "" {
			continue
		}
		err := checkURL(one.field, one.text, one.schemes...)
		if err != nil {
			return err
		}
	}
	return s.validateCards()
}

func (s *Settings) validateCards() error {
	domain, found := strings.CutPrefix(s.UPNSuffix, "@")
	if s.UPNSuffix != "" && (!found || len(s.UPNSuffix) > maxUPNSuffix || !domainName(domain)) {
		return refuse("UPNSuffix", ruleSettings, "is not an @ and a domain")
	}
	if s.CardIssuer != "" && (len(s.CardIssuer) != 10 || strings.Trim(s.CardIssuer, "0123456789") != "") {
		return refuse("CardIssuer", ruleSettings, "is not ten digits")
	}
	if !s.Validity.within(Period{Years: 30}) {
		return refuse("Validity", ruleSettings, "is negative or longer than thirty years")
	}
	return nil
}

// completed returns a copy in which every zero field has its default.
func (s Settings) completed(sh *shape) Settings {
	if s.UPNSuffix == "" {
		s.UPNSuffix = defaultUPNSuffix
	}
	if s.CardIssuer == "" {
		s.CardIssuer = defaultCardIssuer
	}
	if s.Validity == (Period{}) {
		s.Validity = sh.validity
	}
	if s.RSA2048NotAfter.IsZero() {
		s.RSA2048NotAfter = defaultRSA2048NotAfter
	}
	return s
}

// checkURL accepts an absolute URL of visible ASCII characters, as an
// IA5String can hold it (RFC 5280 §4.2.1.6), under one of the schemes. Lists
// and responders are never behind TLS, whose own check would ask them.
func checkURL(field, text string, schemes ...string) error {
	if len(text) > maxURL {
		return refuse(field, ruleSettings, "is longer than 1024 characters")
	}
	for i := 0; i < len(text); i++ {
		if text[i] <= ' ' || text[i] > '~' {
			return refuse(field, ruleSettings, "holds a character that must be percent-encoded")
		}
	}
	parsed, err := url.Parse(text)
	if err != nil || parsed.Host == "" || parsed.User != nil || parsed.Fragment != "" {
		return refuse(field, ruleSettings, "is not an absolute URL")
	}
	for _, scheme := range schemes {
		if parsed.Scheme == scheme {
			return nil
		}
	}
	return refuse(field, ruleSettings, "is not under "+strings.Join(schemes, " or ")+":")
}

// parseOID reads a dotted object identifier of at least three arcs.
func parseOID(text string) (oid, error) {
	var id oid
	for arc := range strings.SplitSeq(text, ".") {
		n, err := strconv.ParseUint(arc, 10, 31)
		if err != nil || len(arc) > 1 && arc[0] == '0' {
			return nil, refuse("Policy", ruleSettings, "is not a dotted object identifier")
		}
		id = append(id, int(n))
	}
	if len(id) < 3 || len(id) > 32 || id[0] > 2 || id[0] < 2 && id[1] > 39 {
		return nil, refuse("Policy", ruleSettings, "is not a dotted object identifier")
	}
	return id, nil
}

// domainName accepts letters, digits and inner hyphens in labels of 1 to 63
// (RFC 1123 §2.1).
func domainName(text string) bool {
	if text == "" || len(text) > 253 {
		return false
	}
	for label := range strings.SplitSeq(text, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := 0; i < len(label); i++ {
			c := label[i]
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
				return false
			}
		}
	}
	return true
}
