package endtoend_test

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"cpsca/card"
	"cpsca/client"
	"cpsca/registry"
	"cpsca/testpki"

	"golang.org/x/text/unicode/norm"
)

// invented is a family name that nobody has and that no certificate can carry.
const invented = "ZZQUELCONQUE漢字"

func TestNoLogTellsAPINANumberOrAName(t *testing.T) {
	h := newHouse(t)
	people := testpki.NewPopulation(61, 120).With(testpki.Shares{StruckOff: 0.05, Suspended: 0.05, Deceased: 0.05, Retired: 0.05, WithoutAddress: 0.1})
	h.startAuthority(t, "--debug")
	h.startStatus(t, "--debug")
	h.importRegister(t, people)
	chosen := entitled(t, people, 12)
	h.wrongImports(t, people, chosen[11])
	h.everybodyOrders(t, people)
	lived := h.livedThrough(t, chosen)
	h.strangeQuestions(t, people, lived)
	h.authority.kill()
	h.startAuthority(t, "--debug")
	h.must(t, "card", "show", string(lived.Number()))
	h.authority.stop(t)
	h.status.stop(t)
	for name, text := range map[string]string{
		"the authority's log": read(t, h.authority.log), "the status node's log": read(t, h.status.log),
	} {
		if len(text) < 100 {
			t.Errorf("%s has %d octets: the story wrote nothing", name, len(text))
		}
		silent(t, name, text, h.secrets(t, people))
	}
}

// wrongImports brings in files with faults of many kinds.
func (h *house) wrongImports(t *testing.T, people *testpki.Population, odd testpki.Professional) {
	t.Helper()
	one := people.Person(0).Person
	wrong := []byte(one.ID)
	wrong[len(wrong)-1] = '0' + (wrong[len(wrong)-1]-'0'+1)%10
	path := h.path("RADIATIONS-" + string(one.ID) + "-" + one.FamilyName + ".txt")
	write(t, path, strings.Join(registry.EventColumns(), "|")+"|\n"+string(wrong)+"|RADIATION|2026-01-02|Ordre|\n"+
		string(one.ID)+"|"+one.FamilyName+"|2026-01-02|Ordre|\n"+string(one.ID)+"|RADIATION|"+one.FamilyName+"|Ordre|\n"+one.FamilyName+"\n")
	h.must4(t, "registry", "import", client.Events, path)
	write(t, h.path("contacts-wrong.txt"), strings.Join(registry.ContactColumns(), "|")+"|\n"+string(one.ID)+"|"+strings.Repeat(one.FamilyName+" ", 20)+"|||||||||2026-11-20|\n")
	h.must4(t, "registry", "import", client.Contacts, h.path("contacts-wrong.txt"))
	a := h.cpsca(t, "registry", "import", client.Persons, path) // not a file of persons
	if a.code == 0 {
		t.Error("a file of events was taken for one of persons")
	}
	h.rename(t, odd)
}

// rename gives somebody the invented name, in the file of persons.
func (h *house) rename(t *testing.T, one testpki.Professional) {
	t.Helper()
	header, rows, _ := strings.Cut(read(t, h.path("persons.txt")), "\n")
	var b strings.Builder
	b.WriteString(header + "\n")
	for row := range strings.Lines(rows) {
		fields := strings.Split(row, "|")
		if fields[2] == string(one.Person.ID) {
			fields[7] = invented
			b.WriteString(strings.Join(fields, "|"))
		}
	}
	write(t, h.path("renamed.txt"), b.String())
	h.cpsca(t, "registry", "import", client.Persons, h.path("renamed.txt"))
}

// everybodyOrders orders a card for each person, also for those who get none.
func (h *house) everybodyOrders(t *testing.T, people *testpki.Population) {
	t.Helper()
	var numbers strings.Builder
	for _, one := range people.All() {
		numbers.WriteString(string(one.Person.ID) + "\n")
	}
	numbers.WriteString(string(testpki.NewPopulation(98, 1).Person(0).Person.ID) + "\n")
	write(t, h.path("numbers.txt"), numbers.String())
	h.must4(t, "order", "create", "--file", h.path("numbers.txt"))
	h.must(t, "order", "list", "--ready")
	h.must(t, "order", "list")
}

// livedThrough personalises cards with refusals among them and leads one through
// its life; it returns that one.
func (h *house) livedThrough(t *testing.T, chosen []testpki.Professional) *testpki.Card {
	t.Helper()
	numbers := testpki.NewNumbers(61)
	ready := make(map[registry.NationalID]client.ReadyOrder)
	for o, err := range h.as(t, "bureau").ReadyOrders(t.Context(), "", 0) {
		if err != nil {
			t.Fatal(err)
		}
		ready[o.Holder.ID] = o
	}
	first := newCard(t, numbers)
	lines := []string{line(t, apply(t, first, ready[chosen[0].Person.ID]))}
	for i, one := range chosen[1:] {
		o := ready[one.Person.ID]
		c := newCard(t, numbers)
		a := apply(t, c, o)
		if i%3 == 0 {
			der, err := c.FlawedRequest(testpki.Flaws[i], card.Authentication, o.Challenges[card.Authentication])
			if err != nil {
				t.Fatal(err)
			}
			a.Authentication = request(der)
		}
		lines = append(lines, line(t, a),
			`{"`+string(one.Person.ID)+`":"`+one.Person.FamilyName+`"}`,
			`{"order":"`+string(one.Person.ID)+`","card":"`+one.Person.FamilyName+`"}`,
			`{"order":"`+string(one.Person.ID)+`","card":"0000000001"}`,
			one.Person.FamilyName+" "+string(one.Person.ID))
	}
	write(t, h.path("story.ndjson"), strings.Join(lines, "\n")+"\n")
	h.must4(t, "personalise", h.path("story.ndjson"), "--certificates", h.path("cards"))
	h.must(t, "card", "activate", string(first.Number()))
	h.must(t, "loss", "report", string(first.Number()), "--circumstance", "stolen")
	if a := h.cpsca(t, "card", "activate", string(first.Number())); a.code != 3 {
		t.Errorf("activating a lost card: exit code %d", a.code)
	}
	h.must(t, "card", "history", string(first.Number()))
	h.must(t, "card", "show", string(chosen[0].Person.ID))
	h.must(t, "registry", "show", string(chosen[0].Person.ID))
	h.must(t, "crl", "publish", "cards")
	h.verifyJournal(t)
	h.cpsca(t, "doctor")
	der := []byte(read(t, h.path("cards", string(first.Number()), "authentication.pem")))
	h.cpsca(t, "cert", "check", h.path("cards", string(first.Number()), "authentication.pem"))
	loaded, err := tls.X509KeyPair(der, keyPEM(t, first.Key(card.Authentication)))
	if err != nil {
		t.Fatal(err)
	}
	err = h.knock(t, &loaded) // the subject of the certificate names the holder
	if !strings.Contains(err.Error(), "remote error: tls: ") {
		t.Errorf("a card knocked: %v", err)
	}
	return first
}

// strangeQuestions puts numbers and names where no door expects them.
func (h *house) strangeQuestions(t *testing.T, people *testpki.Population, c *testpki.Card) {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(h.path("identities", "desk.pem"), h.path("identities", "desk.key"))
	if err != nil {
		t.Fatal(err)
	}
	roots, err := client.LoadRoots(h.path("issuers", "technical-root.pem"))
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}}
	defer transport.CloseIdleConnections()
	one := people.Person(1).Person
	for _, path := range []string{
		"/v1/" + string(one.ID), "/v1/registry/persons/" + string(one.ID) + "0", "/v1/registry/persons/" + one.FamilyName, "/v1/cards/" + string(one.ID),
		"/v1/cards?holder=" + one.FamilyName, "/v1/orders?state=" + string(one.ID), "/v1/orders?after=" + string(one.ID), "/v1/certificates/" + string(one.ID) + "/" + string(c.Number()),
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			r, err := http.NewRequestWithContext(t.Context(), method, "https://"+h.addresses.authority+strings.ReplaceAll(path, " ", "%20"), strings.NewReader(`{"holder":"`+string(one.ID)+`","`+one.FamilyName+`":1}`))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			a, err := (&http.Client{Transport: transport}).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			a.Body.Close()
		}
	}
	for _, path := range []string{"/ocsp/" + string(one.ID), "/crl/" + string(one.ID) + ".crl", "/ca/" + string(one.ID)} {
		get(t, "http://"+h.addresses.status+path)
	}
}

// secrets lists what no log may tell, with what it is.
func (h *house) secrets(t *testing.T, people *testpki.Population) map[string]string {
	t.Helper()
	out := map[string]string{"ZZQUELCONQUE": "the invented name"}
	for _, file := range []string{"authority.pin", "root-hsm/root.pin", "status.pin"} {
		out[strings.TrimSpace(read(t, h.path(file)))] = "the PIN in " + file
	}
	for _, one := range people.All() {
		out[string(one.Person.ID)] = "a national identifier"
		out[string(one.Person.ID)[1:]] = "an RPPS number"
		out[one.Person.FamilyName] = "a family name"
		out[norm.NFD.String(one.Person.FamilyName)] = "a family name"
	}
	return out
}

// silent fails the test for each secret that stands in a text as a word.
func silent(t *testing.T, name, text string, secrets map[string]string) {
	t.Helper()
	for secret, what := range secrets {
		found := regexp.MustCompile(`(?i)(?:^|[^\pL\pN])` + regexp.QuoteMeta(secret) + `(?:$|[^\pL\pN])`).FindStringIndex(text)
		if found != nil {
			t.Errorf("%s tells %s: …%s…", name, what, text[max(0, found[0]-120):min(len(text), found[1]+120)])
		}
	}
}

func keyPEM(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func TestNoProcessShowsAPIN(t *testing.T) {
	h := newHouse(t)
	h.startAuthority(t)
	for _, file := range []string{"cmdline", "environ"} {
		text, err := os.ReadFile("/proc/" + strconv.Itoa(h.authority.command.Process.Pid) + "/" + file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte(strings.TrimSpace(read(t, h.path("authority.pin"))))) {
			t.Errorf("the PIN is in the authority's %s", file)
		}
	}
}
