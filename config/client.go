package config

// Client is the configuration of cpsca, the command of the people who run the
// authority.
type Client struct {
	// Authority is the base URL of /v1.
	Authority string `mapstructure:"authority"`
	// Trust is a PEM file with the technical root.
	Trust string `mapstructure:"trust"`
	// Ledger is the authority's SQLite file or the URL of its database, for the
	// verbs that read it where it is (doctor, journal verify); empty elsewhere.
	Ledger string `mapstructure:"ledger"`
	// AuthorityConfig is the file of cpsca-authority, for doctor; empty
	// elsewhere.
	AuthorityConfig string `mapstructure:"authority_config"`
	// Status is the base URL of the status service, for cert check.
	Status string `mapstructure:"status"`
	// Identities are the certificates that the user may speak with; a verb
	// takes the first whose role it needs, or the one named by --as.
	Identities []Identity `mapstructure:"identities"`
}

// Identity is one enrolled certificate of the user.
type Identity struct {
	Name        string `mapstructure:"name"`
	Role        string `mapstructure:"role"`
	Certificate string `mapstructure:"certificate"`
	Key         string `mapstructure:"key"` // mode 0600
}

// ReadClient reads and checks the file of cpsca. Errors wrap ErrInvalid and
// name the key.
func ReadClient(path string) (*Client, error) {
	base, err := folder(path)
	if err != nil {
		return nil, err
	}
	var c Client
	err = read(path, &c)
	if err != nil {
		return nil, err
	}
	err = webURL("authority", c.Authority, "https")
	if err == nil && c.Status != "" {
		err = webURL("status", c.Status, "http")
	}
	if err != nil {
		return nil, err
	}
	if c.Trust == "" || len(c.Identities) == 0 {
		return nil, invalid("trust, identities", "are required")
	}
	c.Trust, c.Ledger, c.AuthorityConfig = under(base, c.Trust), place(base, c.Ledger), under(base, c.AuthorityConfig)
	for i := range c.Identities {
		one := &c.Identities[i]
		if one.Name == "" || one.Role == "" || one.Certificate == "" || one.Key == "" {
			return nil, invalid("identities", "each needs name, role, certificate and key")
		}
		one.Certificate, one.Key = under(base, one.Certificate), under(base, one.Key)
	}
	return &c, nil
}
