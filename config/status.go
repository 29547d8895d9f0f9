package config

import "time"

// Status is the configuration of cpsca-status.
type Status struct {
	// Listen is where OCSP, lists and CA certificates are served to the
	// public over HTTP, host:port.
	Listen string `mapstructure:"listen"`
	// Management is where health, readiness and position are served over
	// HTTP, host:port, best on a loopback address; empty: nowhere.
	Management string `mapstructure:"management"`
	// Folder holds the node's own copy of feed and lists.
	Folder string `mapstructure:"folder"`
	// Authority is the base URL of the authority's /v1.
	Authority string `mapstructure:"authority"`
	// TLS is the node's certificate towards the authority.
	TLS TLS `mapstructure:"tls"`
	// FeedKey is a PEM file with the public key of the feed.
	FeedKey string `mapstructure:"feed_key"`
	// Issuers are PEM files with the certificates of the issuers answered
	// for, and of the root above them.
	Issuers []string `mapstructure:"issuers"`
	// HSM is the node's own token, with responder keys and nothing else.
	HSM HSM `mapstructure:"hsm"`
	// Poll lies between two questions to the authority, 100ms to 4s: with the
	// few seconds for which the authority keeps a question open the image
	// stays young enough to say that a serial was never issued.
	Poll time.Duration `mapstructure:"poll"`
	// ExtendedRevoke answers revoked instead of unknown for serials that were
	// never issued (RFC 6960 §2.2).
	ExtendedRevoke bool `mapstructure:"extended_revoke"`
	// ClientRate is how many signatures a second one client (an IPv4 address,
	// an IPv6 /64) may cause, 1 to 100000; 0 means 50. Raise it behind a
	// reverse proxy, where all clients are one.
	ClientRate int `mapstructure:"client_rate"`
}

// ReadStatus reads and checks the file of cpsca-status. Errors wrap ErrInvalid
// and name the key.
func ReadStatus(path string) (*Status, error) {
	base, err := folder(path)
	if err != nil {
		return nil, err
	}
	var s Status
	err = read(path, &s)
	if err != nil {
		return nil, err
	}
	err = s.validate(base)
	if err != nil {
		return nil, err
	}
	return &s, nil
}

func (s *Status) validate(base string) error {
	err := address("listen", s.Listen)
	if err == nil && s.Management != "" {
		err = address("management", s.Management)
	}
	if err == nil {
		err = webURL("authority", s.Authority, "https")
	}
	if err == nil {
		err = between("poll", s.Poll, 100*time.Millisecond, 4*time.Second)
	}
	if err != nil {
		return err
	}
	if s.ClientRate < 0 || s.ClientRate > 100000 {
		return invalid("client_rate", "want 0 to 100000, got %d", s.ClientRate)
	}
	if s.Folder == "" || s.FeedKey == "" || len(s.Issuers) == 0 {
		return invalid("folder, feed_key, issuers", "are required")
	}
	s.Folder, s.FeedKey = under(base, s.Folder), under(base, s.FeedKey)
	for i := range s.Issuers {
		s.Issuers[i] = under(base, s.Issuers[i])
	}
	err = s.TLS.validate("tls", base)
	if err != nil {
		return err
	}
	return s.HSM.validate("hsm", base)
}
