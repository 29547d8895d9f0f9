package endtoend_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"database/sql"
	"encoding/hex"
	"errors"
	"io"
	"math/big"
	"net/http"
	"os"
	"strings"
	"testing"

	"cpsca/card"
	"cpsca/feed"
	"cpsca/store"

	"golang.org/x/crypto/ocsp"
)

// intent is a row of the ledger about a certificate of a card: what was to be
// signed, and what became of it.
type intent struct {
	order   card.OrderID
	attempt int
	use     card.Use
	serial  card.Serial
	tbs     []byte
	state   string // intent, recorded or abandoned
}

// intents reads the intents of cards beside whoever writes the ledger.
func (h *house) intents(t *testing.T) []intent {
	t.Helper()
	return intentsIn(t, h.path("ledger.db"))
}

// intentsIn reads the intents of cards in the ledger at a path.
func intentsIn(t *testing.T, path string) []intent {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+path+"?mode=ro&_busy_timeout=10000")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(`SELECT i.order_id, i.attempt, i.use, i.serial, i.tbs,
		CASE a.state WHEN 'spoiled' THEN 'recorded' ELSE a.state END
		FROM intents i JOIN attempts a ON a.order_id = i.order_id AND a.attempt = i.attempt ORDER BY i.order_id, i.attempt, i.use`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var out []intent
	for rows.Next() {
		var i intent
		var serial []byte
		err = rows.Scan(&i.order, &i.attempt, &i.use, &serial, &i.tbs, &i.state)
		if err != nil {
			t.Fatal(err)
		}
		copy(i.serial[:], serial)
		out = append(out, i)
	}
	err = rows.Err()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// feedStates reads the last state of every serial from the feed, in the ledger
// opened for reading only.
func (h *house) feedStates(t *testing.T) map[card.Serial]feed.Record {
	t.Helper()
	db, err := store.OpenReadOnly(store.Config{Path: h.path("ledger.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	out := make(map[card.Serial]feed.Record)
	after := uint64(0)
	for {
		records, end, _, err := db.Records(t.Context(), after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			out[r.Serial] = r
			after = r.Sequence
		}
		if after >= end || len(records) == 0 {
			return out
		}
	}
}

// witnessed reads how often the tokens were asked to log in, and how often to
// sign each string of octets.
func (h *house) witnessed(t *testing.T) (logins int, signed map[string]int) {
	t.Helper()
	signed = make(map[string]int)
	text, err := os.ReadFile(h.folder + ".witness")
	if errors.Is(err, os.ErrNotExist) {
		return 0, signed
	}
	if err != nil {
		t.Fatal(err)
	}
	for note := range strings.Lines(string(text)) {
		what, octets, _ := strings.Cut(strings.TrimSpace(note), " ")
		switch what {
		case "login":
			logins++
		case "sign":
			signed[octets]++
		default:
			t.Fatalf("the witness noted %q", note)
		}
	}
	return logins, signed
}

// digest is what the token is asked to sign for a TBSCertificate by ECDSA with
// SHA-256.
func digest(tbs []byte) string {
	sum := sha256.Sum256(tbs)
	return hex.EncodeToString(sum[:])
}

// certificate parses an issued certificate and checks its signature.
func certificate(t *testing.T, der []byte, issuer *x509.Certificate) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	err = c.CheckSignatureFrom(issuer)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ocsp asks the status service about a serial.
func (h *house) ocsp(t *testing.T, issuer *x509.Certificate, serial card.Serial) (*ocsp.Response, error) {
	t.Helper()
	question, err := ocsp.CreateRequest(&x509.Certificate{SerialNumber: new(big.Int).SetBytes(serial[:])}, issuer, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, body := h.postOCSP(t, question)
	return ocsp.ParseResponse(body, issuer)
}

// postOCSP posts octets to the responder and returns what it answers.
func (h *house) postOCSP(t *testing.T, question []byte) (int, []byte) {
	t.Helper()
	a, err := http.Post("http://"+h.addresses.status+"/ocsp", "application/ocsp-request", bytes.NewReader(question))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, body
}

// says reports whether OCSP gives a verdict, "good", "held" or "revoked".
func (h *house) says(t *testing.T, issuer *x509.Certificate, serial card.Serial, verdict string) bool {
	t.Helper()
	a, err := h.ocsp(t, issuer, serial)
	if err != nil {
		return false
	}
	switch verdict {
	case "good":
		return a.Status == ocsp.Good
	case "held":
		return a.Status == ocsp.Revoked && a.RevocationReason == ocsp.CertificateHold
	case "revoked":
		return a.Status == ocsp.Revoked && a.RevocationReason != ocsp.CertificateHold
	}
	t.Fatalf("no such verdict: %s", verdict)
	return false
}

// listed fetches the list of the cards' issuer, checks its signature and returns
// its number and the serials on it.
func (h *house) listed(t *testing.T, issuer *x509.Certificate) (*big.Int, map[card.Serial]bool) {
	t.Helper()
	code, der := get(t, "http://"+h.addresses.status+"/crl/cards.crl")
	if code != http.StatusOK {
		return nil, nil
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	err = list.CheckSignatureFrom(issuer)
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[card.Serial]bool)
	for _, e := range list.RevokedCertificateEntries {
		var s card.Serial
		e.SerialNumber.FillBytes(s[:])
		out[s] = true
	}
	return list.Number, out
}
