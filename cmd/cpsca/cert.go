package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"cpsca/card"
	"cpsca/client"
	"cpsca/crl"
	"cpsca/officer"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ocsp"
)

func (s *session) certCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "cert",
		Short: say("Show, check and revoke certificates", "Montre, vérifie et révoque des certificats"),
	}
	c.AddCommand(s.certShowCommand(), s.certCheckCommand(), s.certRevokeCommand())
	return c
}

func (s *session) certShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show CARD|ISSUER:SERIAL",
		Short:   say("Write certificates as PEM, with their status", "Écrit des certificats en PEM, avec leur statut"),
		Long:    say("Writes both certificates of a card, or the one that an issuer's key id and a serial name\n(40 and 32 hexadecimal digits), as PEM with a line on its status before each.", "Écrit les deux certificats d'une carte, ou celui que nomment l'identifiant de clé d'un émetteur\net un numéro de série (40 et 32 chiffres hexadécimaux), en PEM précédé de son statut."),
		Example: "  cpsca cert show 2800636234 | openssl x509 -noout -text",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			fetch, err := certificatesOf(args[0])
			if err != nil {
				return err
			}
			authority, err := s.connect(officer.Desk, officer.SecurityOfficer, officer.Auditor)
			if err != nil {
				return err
			}
			defer authority.Close()
			found, err := fetch(c.Context(), authority)
			if err != nil {
				return err
			}
			return s.print(found, func(w io.Writer) error {
				for _, one := range found {
					fmt.Fprintf(w, "# %s %s %s %s\n", one.Profile, one.Serial, one.Status, moment(one.Since))
					err := pem.Encode(w, &pem.Block{Type: "CERTIFICATE", Bytes: one.DER})
					if err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

// certificatesOf reads what is wanted from the command line, before anybody is
// asked for it.
func certificatesOf(text string) (func(context.Context, *client.Client) ([]client.Certificate, error), error) {
	if len(text) == 10 {
		number, err := cardNumber(text)
		return func(ctx context.Context, authority *client.Client) ([]client.Certificate, error) {
			return certificatesOfCard(ctx, authority, number)
		}, err
	}
	issuer, serial, err := named(text)
	return func(ctx context.Context, authority *client.Client) ([]client.Certificate, error) {
		one, err := authority.Certificate(ctx, issuer, serial)
		return []client.Certificate{one}, err
	}, err
}

func certificatesOfCard(ctx context.Context, authority *client.Client, number card.Number) ([]client.Certificate, error) {
	h, err := authority.History(ctx, number)
	if err != nil {
		return nil, err
	}
	out := []client.Certificate{}
	for _, one := range h.Certificates {
		whole, err := authority.Certificate(ctx, one.Issuer, one.Serial)
		if err != nil {
			return nil, err
		}
		out = append(out, whole)
	}
	return out, nil
}

func named(text string) (card.KeyID, card.Serial, error) {
	before, after, found := strings.Cut(text, ":")
	if !found {
		return card.KeyID{}, card.Serial{}, usageError{fmt.Errorf(say("%s is neither a card number nor ISSUER:SERIAL", "%s n'est ni un numéro de carte ni ISSUER:SERIAL"), text)}
	}
	issuer, err := card.ParseKeyID(before)
	if err != nil {
		return issuer, card.Serial{}, usageError{err}
	}
	serial, err := card.ParseSerial(after)
	if err != nil {
		return issuer, serial, usageError{err}
	}
	return issuer, serial, nil
}

func (s *session) certRevokeCommand() *cobra.Command {
	var reason int
	c := &cobra.Command{
		Use:   "revoke ISSUER:SERIAL",
		Short: say("Revoke a technical certificate for ever", "Révoque définitivement un certificat technique"),
		Long: say("Revokes a certificate of the infrastructure: a server's, a client's, an officer's, a responder's.\nIt opens no door from the next request on. Cards are revoked by loss reports.",
			"Révoque un certificat de l'infrastructure : serveur, client, officier, répondeur. Il n'ouvre plus\naucune porte dès la requête suivante. Les cartes sont révoquées par déclaration de perte."),
		Example: "  cpsca cert revoke 6c1f…:10a2… --reason 1",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			issuer, serial, err := named(args[0])
			if err != nil {
				return err
			}
			authority, err := s.connect(officer.SecurityOfficer)
			if err != nil {
				return err
			}
			defer authority.Close()
			after, err := authority.Revoke(c.Context(), issuer, serial, card.Reason(reason))
			if err != nil {
				return err
			}
			return s.print(after, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%s %s %s\n", after.Serial, after.Status, moment(after.Since))
				return err
			})
		},
	}
	c.Flags().IntVar(&reason, "reason", 0, say("reason code of RFC 5280 §5.3.1", "code de motif de la RFC 5280 §5.3.1"))
	return c
}

func (s *session) certCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "check FILE",
		Short:   say("Check a certificate as a relying service does", "Vérifie un certificat comme le fait un service"),
		Long:    say("Checks a PEM certificate against the hierarchy, its dates, OCSP and the revocation list of the\nstatus service. Exit code 3 if it is not to be trusted.", "Vérifie un certificat PEM : hiérarchie, dates, OCSP et liste de révocation du service de statut.\nCode de sortie 3 s'il ne faut pas s'y fier."),
		Example: "  cpsca cert check var/run/cards/2800636234/authentication.pem",
		Args:    cobra.ExactArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return s.checkCertificate(c.Context(), args[0]) },
	}
}

// verdict is what a relying service would conclude.
type verdict struct {
	Subject string `json:"subject"`
	Serial  string `json:"serial"`
	Chain   string `json:"chain"`
	OCSP    string `json:"ocsp"`
	List    string `json:"list"`
	Trusted bool   `json:"trusted"`
}

// attributeNames are those of RFC 4519 for what card subjects have.
var attributeNames = map[string]string{
	"2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "title", "2.5.4.42": "GN",
}

// subjectText is a name as people read it, in the order of the certificate; what
// a terminal would not print is quoted.
func subjectText(name pkix.Name) string {
	parts := make([]string, 0, len(name.Names))
	for _, one := range name.Names {
		kind, known := attributeNames[one.Type.String()]
		if !known {
			kind = one.Type.String()
		}
		value := fmt.Sprint(one.Value)
		if strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) }) {
			value = strconv.QuoteToGraphic(value)
		}
		parts = append(parts, kind+"="+value)
	}
	return strings.Join(parts, ", ")
}

// notAsked is the word for a service that the certificate does not name, or
// that was not worth asking about a stranger.
const notAsked = "–"

// trusted: all that was asked must agree, and the list is always asked.
func (v verdict) trusted() bool {
	return v.Chain == "ok" && (v.OCSP == "good" || v.OCSP == notAsked) && v.List == "not listed"
}

// notTrusted: the certificate was checked and is not to be trusted.
func notTrusted() error {
	return &client.Problem{Status: http.StatusForbidden, Title: say("this certificate is not to be trusted", "il ne faut pas se fier à ce certificat")}
}

func (s *session) checkCertificate(ctx context.Context, path string) error {
	leaf, err := readCertificate(path)
	if err != nil {
		return err
	}
	settings, err := s.settings()
	if err != nil {
		return err
	}
	if settings.Status == "" {
		return errors.New(say("the configuration names no status service", "la configuration ne nomme aucun service de statut"))
	}
	v := verdict{Subject: subjectText(leaf.Subject), Serial: fmt.Sprintf("%x", leaf.SerialNumber), OCSP: notAsked, List: notAsked}
	name, issuer, chain, err := fetchChain(ctx, settings.Status, leaf)
	v.Chain = chain
	if err == nil && issuer != nil && len(leaf.OCSPServer) > 0 {
		v.OCSP, err = askOCSP(ctx, settings.Status, leaf, issuer)
	}
	if err == nil && issuer != nil {
		v.List, err = searchList(ctx, settings.Status+"/crl/"+name+".crl", leaf, issuer)
	}
	if err != nil {
		return err
	}
	v.Trusted = v.trusted()
	err = s.print(v, func(w io.Writer) error {
		t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
		fmt.Fprintf(t, "%s\n%s %s\n", v.Subject, say("serial", "numéro de série"), v.Serial)
		fmt.Fprintf(t, "  %s\t%s\n  OCSP\t%s\n  %s\t%s\n", say("chain", "chaîne"), v.Chain, v.OCSP, say("list", "liste"), v.List)
		if v.Trusted {
			fmt.Fprintln(t, say("to be trusted", "digne de confiance"))
		}
		return t.Flush()
	})
	if err == nil && !v.Trusted {
		return notTrusted()
	}
	return err
}

func readCertificate(path string) (*x509.Certificate, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf(say("%s holds no PEM certificate", "%s ne contient pas de certificat PEM"), path)
	}
	one, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf(say("%s: %w", "%s : %w"), path, err)
	}
	return one, nil
}

// fetchChain gets the hierarchy from the status service and says which of its
// issuers signed the certificate, nil for none, and whether the chain holds. The
// root's name and key come from there too: it is for the reader to compare its
// fingerprint with the one she trusts.
func fetchChain(ctx context.Context, base string, leaf *x509.Certificate) (name string, issuer *x509.Certificate, chain string, err error) {
	var certificates []*x509.Certificate
	for _, one := range []string{"cards", "root"} {
		der, err := fetch(ctx, http.MethodGet, base+"/ca/"+one+".cer", nil)
		if err != nil {
			return "", nil, "", err
		}
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return "", nil, "", err
		}
		certificates = append(certificates, certificate)
		if issuer == nil && leaf.CheckSignatureFrom(certificate) == nil {
			name, issuer = one, certificate
		}
	}
	roots := x509.NewCertPool()
	roots.AddCert(certificates[1])
	between := x509.NewCertPool()
	between.AddCert(certificates[0])
	_, err = leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return name, issuer, err.Error(), nil
	}
	return name, issuer, "ok", nil
}

func askOCSP(ctx context.Context, base string, leaf, issuer *x509.Certificate) (string, error) {
	question, err := ocsp.CreateRequest(leaf, issuer, nil)
	if err != nil {
		return "", err
	}
	der, err := fetch(ctx, http.MethodPost, base+"/ocsp", question)
	if err != nil {
		return "", err
	}
	answer, err := ocsp.ParseResponseForCert(der, leaf, issuer)
	var refused ocsp.ResponseError
	if errors.As(err, &refused) {
		return refused.Status.String(), nil
	}
	if err != nil {
		return "", err
	}
	switch answer.Status {
	case ocsp.Good:
		return "good", nil
	case ocsp.Revoked:
		return "revoked " + moment(answer.RevokedAt), nil
	}
	return "unknown", nil
}

func searchList(ctx context.Context, url string, leaf, issuer *x509.Certificate) (string, error) {
	der, err := fetch(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	list, err := crl.Parse(der)
	if err != nil {
		return "", err
	}
	err = crl.Check(list, issuer, time.Now())
	if err != nil {
		return err.Error(), nil
	}
	for e := range list.Entries() {
		if leaf.SerialNumber.Cmp(new(big.Int).SetBytes(e.Serial[:])) == 0 { // a stranger's may have 20 octets
			return "listed " + moment(e.Date), nil
		}
	}
	return "not listed", nil
}

// fetch asks the status service; answers are bounded by the largest list.
func fetch(ctx context.Context, method, url string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/ocsp-request")
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, answer.Status)
	}
	return io.ReadAll(io.LimitReader(answer.Body, 1<<30))
}
