package config

import (
	"fmt"
	"slices"
	"time"
)

// Authority is the configuration of cpsca-authority.
type Authority struct {
	// Listen is where /v1 is served over mTLS, host:port.
	Listen string `mapstructure:"listen"`
	// Management is where health and readiness are served over HTTP,
	// host:port, best on a loopback address; empty: nowhere.
	Management string `mapstructure:"management"`
	// Ledger is the SQLite file, which must exist, or the URL of the PostgreSQL
	// database (postgres://…), without a password: that is in a file of its own.
	Ledger string `mapstructure:"ledger"`
	// Environment is test or production, for the life of the hierarchy: a
	// production authority refuses SoftHSM and numbers of fictitious people.
	Environment string `mapstructure:"environment"`
	// Instance is the first octet of the serials that this process issues,
	// 16 to 127.
	Instance int `mapstructure:"instance"`
	// Gate is chip or hold.
	Gate string `mapstructure:"gate"`
	// Bureau gets the orders that no desk directed elsewhere.
	Bureau string `mapstructure:"bureau"`
	// Quotas bounds what bureaux are given.
	Quotas []Quota `mapstructure:"quotas"`
	// CardKeys says which keys are accepted on cards.
	CardKeys CardKeys `mapstructure:"card_keys"`
	// HSM is the authority's token, with the keys of the issuers that sign
	// every day and of the feed.
	HSM HSM `mapstructure:"hsm"`
	// TLS is the server's certificate; Trust is the technical root.
	TLS TLS `mapstructure:"tls"`
	// FeedKey is the label of the key that signs the heads of the feed.
	FeedKey string `mapstructure:"feed_key"`
	// Certificates is what operators decide about certificates.
	Certificates Certificates `mapstructure:"certificates"`
	// Lists is how revocation lists are made.
	Lists Lists `mapstructure:"lists"`
}

// Quota is how many applications of a bureau are signed in one hour and one day
// of UTC; 0 sets no bound.
type Quota struct {
	Bureau string `mapstructure:"bureau"` // "*": those that have no line of their own
	Hour   int    `mapstructure:"hour"`
	Day    int    `mapstructure:"day"`
}

// CardKeys lists the keys accepted on cards.
type CardKeys struct {
	RSA    []int    `mapstructure:"rsa"`    // modulus sizes in bits: 2048, 3072, 4096
	Curves []string `mapstructure:"curves"` // P-256, P-384
	// Blocked is a file of keys that are never accepted, one SHA-256 of a
	// modulus, an uncompressed point or a SubjectPublicKeyInfo per line in
	// hexadecimal, # before comments; empty: none.
	Blocked string `mapstructure:"blocked"`
}

// Certificates holds the texts and URLs that certificates carry.
type Certificates struct {
	// Policy is the dotted object identifier of the certification policy.
	Policy string `mapstructure:"policy"`
	// PolicyURI is where it is published.
	PolicyURI string `mapstructure:"policy_uri"`
	// Publication is the base URL of the status service, where
	// crl/NAME.crl and ca/NAME.cer are.
	Publication string `mapstructure:"publication"`
	// OCSP is the URL of the responder.
	OCSP string `mapstructure:"ocsp"`
	// LDAP lists further distribution points, by issuer name.
	LDAP map[string]string `mapstructure:"ldap"`
	// UPNSuffix follows the national identifier in principal names.
	UPNSuffix string `mapstructure:"upn_suffix"`
	// CardYears is how long card certificates live, 1 to 3 years.
	CardYears int `mapstructure:"card_years"`
	// ResponderDays is how long responder certificates live, 4 to 31 days.
	ResponderDays int `mapstructure:"responder_days"`
}

// Lists is how revocation lists are made and published.
type Lists struct {
	// Folder is written by the authority alone.
	Folder string `mapstructure:"folder"`
	// Period lies between two regular lists, 1m to 72h.
	Period time.Duration `mapstructure:"period"`
	// Validity is nextUpdate after thisUpdate, at least twice the period.
	Validity time.Duration `mapstructure:"validity"`
	// Delay gathers revocations into one list, 1ms to 30s.
	Delay time.Duration `mapstructure:"delay"`
	// Waiting lists cards that nobody activated yet as held.
	Waiting bool `mapstructure:"waiting"`
}

// ReadAuthority reads and checks the file of cpsca-authority. Errors wrap
// ErrInvalid and name the key.
func ReadAuthority(path string) (*Authority, error) {
	base, err := folder(path)
	if err != nil {
		return nil, err
	}
	var a Authority
	err = read(path, &a)
	if err != nil {
		return nil, err
	}
	err = a.validate(base)
	if err != nil {
		return nil, err
	}
	return &a, nil
}

func (a *Authority) validate(base string) error {
	err := address("listen", a.Listen)
	if err == nil && a.Management != "" {
		err = address("management", a.Management)
	}
	if err != nil {
		return err
	}
	switch {
	case a.Ledger == "":
		return invalid("ledger", "is required")
	case a.Environment != "test" && a.Environment != "production":
		return invalid("environment", "want test or production, got %q", a.Environment)
	case a.Instance < 0x10 || a.Instance > 0x7f:
		return invalid("instance", "want 16 to 127, got %d", a.Instance)
	case a.Gate != "chip" && a.Gate != "hold":
		return invalid("gate", "want chip or hold, got %q", a.Gate)
	case a.Bureau == "" || len(a.Bureau) > 64:
		return invalid("bureau", "want 1 to 64 characters")
	case a.FeedKey == "":
		return invalid("feed_key", "is required")
	}
	a.Ledger, a.CardKeys.Blocked = place(base, a.Ledger), under(base, a.CardKeys.Blocked)
	for _, check := range []func() error{
		a.quotas,
		a.CardKeys.validate,
		func() error { return a.HSM.validate("hsm", base) },
		func() error { return a.TLS.validate("tls", base) },
		a.Certificates.validate,
		func() error { return a.Lists.validate(base) },
	} {
		err = check()
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *Authority) quotas() error {
	seen := make(map[string]bool, len(a.Quotas))
	for i, q := range a.Quotas {
		name := fmt.Sprintf("quotas[%d]", i)
		switch {
		case q.Bureau == "" || len(q.Bureau) > 64:
			return invalid(name+".bureau", "want 1 to 64 characters, or * for all others")
		case seen[q.Bureau]:
			return invalid(name+".bureau", "%q has a line already", q.Bureau)
		case q.Hour < 0 || q.Day < 0:
			return invalid(name, "want numbers from 0, which sets no bound")
		}
		seen[q.Bureau] = true
	}
	return nil
}

// QuotaOf is the quota of a bureau; zero if none is set.
func (a *Authority) QuotaOf(bureau string) Quota {
	var others Quota
	for _, q := range a.Quotas {
		switch q.Bureau {
		case bureau:
			return q
		case "*":
			others = q
		}
	}
	return others
}

func (k *CardKeys) validate() error {
	for _, bits := range k.RSA {
		if !slices.Contains([]int{2048, 3072, 4096}, bits) {
			return invalid("card_keys.rsa", "want 2048, 3072 or 4096, got %d", bits)
		}
	}
	for _, curve := range k.Curves {
		if curve != "P-256" && curve != "P-384" {
			return invalid("card_keys.curves", "want P-256 or P-384, got %q", curve)
		}
	}
	if len(k.RSA)+len(k.Curves) == 0 {
		return invalid("card_keys", "accepts no key")
	}
	return nil
}

func (c *Certificates) validate() error {
	err := webURL("certificates.publication", c.Publication, "http")
	if err == nil {
		err = webURL("certificates.ocsp", c.OCSP, "http")
	}
	if err == nil && c.PolicyURI != "" {
		err = webURL("certificates.policy_uri", c.PolicyURI, "http", "https")
	}
	if err != nil {
		return err
	}
	switch {
	case c.Policy == "":
		return invalid("certificates.policy", "is required")
	case c.CardYears < 1 || c.CardYears > 3:
		return invalid("certificates.card_years", "want 1 to 3, got %d", c.CardYears)
	case c.ResponderDays < 4 || c.ResponderDays > 31:
		return invalid("certificates.responder_days", "want 4 to 31, got %d", c.ResponderDays)
	}
	return nil
}

func (l *Lists) validate(base string) error {
	if l.Folder == "" {
		return invalid("lists.folder", "is required")
	}
	l.Folder = under(base, l.Folder)
	err := between("lists.period", l.Period, time.Minute, 72*time.Hour)
	if err == nil {
		err = between("lists.validity", l.Validity, 2*l.Period, 90*24*time.Hour)
	}
	if err == nil {
		err = between("lists.delay", l.Delay, time.Millisecond, 30*time.Second)
	}
	return err
}
