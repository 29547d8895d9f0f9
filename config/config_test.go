package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const authority = `
listen: 127.0.0.1:8443
management: 127.0.0.1:8444
ledger: ledger.db
environment: test
instance: 16
gate: chip
bureau: bureau-one
card_keys: {rsa: [2048]}
hsm: {module: /usr/lib/softhsm/libsofthsm2.so, token: authority, pin_file: authority.pin, softhsm_config: softhsm2.conf}
tls: {certificate: server.pem, key: server.key, trust: root.pem}
feed_key: feed
certificates:
  policy: 1.3.6.1.4.1.99999.1
  publication: http://127.0.0.1:8480
  ocsp: http://127.0.0.1:8480/ocsp
  card_years: 3
  responder_days: 7
lists: {folder: lists, period: 24h, validity: 144h, delay: 2s}
`

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "authority.yaml")
	err := os.WriteFile(path, []byte(text), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAuthorityIsReadWithPathsUnderItsFolder(t *testing.T) {
	path := write(t, authority)
	a, err := ReadAuthority(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(filepath.Dir(path), "ledger.db"); a.Ledger != want {
		t.Fatalf("ledger: got %s, want %s", a.Ledger, want)
	}
	if a.Lists.Validity != 144*time.Hour || a.HSM.Module != "/usr/lib/softhsm/libsofthsm2.so" || a.CardKeys.RSA[0] != 2048 {
		t.Fatalf("got %+v", a)
	}
}

func TestAQuotaIsThatOfTheBureauOrOfAllOthers(t *testing.T) {
	a, err := ReadAuthority(write(t, authority+"quotas: [{bureau: East, hour: 5, day: 50}, {bureau: \"*\", day: 9}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	east, west := a.QuotaOf("East"), a.QuotaOf("west")
	if east.Hour != 5 || east.Day != 50 || west.Hour != 0 || west.Day != 9 {
		t.Fatalf("got %+v and %+v", east, west)
	}
}

func TestOneTokenMayBeInSeveralPlaces(t *testing.T) {
	one := "hsm: {module: /usr/lib/softhsm/libsofthsm2.so, token: authority, pin_file: authority.pin, softhsm_config: softhsm2.conf}"
	several := `hsm:
  sessions: 4
  deadline: 3s
  token_objects: true
  places:
    - {module: /opt/first.so, token: authority, pin_file: first.pin}
    - {module: /opt/second.so, serial: "0123", pin_descriptor: 3}`
	path := write(t, authority)
	a, err := ReadAuthority(path)
	if err != nil {
		t.Fatal(err)
	}
	want := []Place{{Module: "/usr/lib/softhsm/libsofthsm2.so", Token: "authority", PINFile: filepath.Join(filepath.Dir(path), "authority.pin")}}
	if !slices.Equal(a.HSM.All(), want) {
		t.Errorf("one token: got %+v, want %+v", a.HSM.All(), want)
	}
	path = write(t, strings.Replace(authority, one, several, 1))
	a, err = ReadAuthority(path)
	if err != nil {
		t.Fatal(err)
	}
	want = []Place{
		{Module: "/opt/first.so", Token: "authority", PINFile: filepath.Join(filepath.Dir(path), "first.pin")},
		{Module: "/opt/second.so", Serial: "0123", PINDescriptor: 3},
	}
	if !slices.Equal(a.HSM.All(), want) || a.HSM.Sessions != 4 || a.HSM.Deadline != 3*time.Second || !a.HSM.TokenObjects {
		t.Errorf("several places: got %+v", a.HSM)
	}
	for name, wrong := range map[string][2]string{
		"a token beside places":        {"  sessions: 4", "  sessions: 4\n  token: authority"},
		"a descriptor beside places":   {"  sessions: 4", "  sessions: 4\n  pin_descriptor: 4"},
		"a place without a module":     {"module: /opt/second.so, ", ""},
		"a place without a token":      {"token: authority, ", ""},
		"a descriptor of two places":   {"pin_file: first.pin", "pin_descriptor: 3"},
		"a PIN of a place in two ones": {"pin_file: first.pin", "pin_file: first.pin, pin_descriptor: 4"},
		"an unknown key of a place":    {"pin_file: first.pin", "pin: 1234"},
		"a deadline that is too short": {"deadline: 3s", "deadline: 3ms"},
		"too many places":              {"  places:", "  places:" + strings.Repeat("\n    - {module: /opt/more.so, token: more, pin_file: more.pin}", 7)},
	} {
		text := strings.Replace(several, wrong[0], wrong[1], 1)
		if text == several {
			t.Fatalf("%s: %q is not there", name, wrong[0])
		}
		_, err := ReadAuthority(write(t, strings.Replace(authority, one, text, 1)))
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
}

func TestAuthorityRefusesWhatNobodyMeant(t *testing.T) {
	cases := map[string]struct{ old, new, names string }{
		"an unknown key":                      {"instance: 16", "instance: 16\ninstence: 17", "instence"},
		"a key twice":                         {"gate: chip", "gate: chip\ngate: hold", "gate"},
		"a duration without a unit":           {"period: 24h", "period: 90", "unit"},
		"a fraction for a whole number":       {"instance: 16", "instance: 16.7", "whole number"},
		"a text for a number":                 {"instance: 16", "instance: many", "instance"},
		"an instance outside its octet":       {"instance: 16", "instance: 128", "instance"},
		"a gate that does not exist":          {"gate: chip", "gate: open", "gate"},
		"an environment that does not exist":  {"environment: test", "environment: staging", "environment"},
		"a weak card key":                     {"rsa: [2048]", "rsa: [1024]", "card_keys.rsa"},
		"a quota below nothing":               {"gate: chip", "gate: chip\nquotas: [{bureau: east, hour: -1}]", "quotas[0]"},
		"two quotas of one bureau":            {"gate: chip", "gate: chip\nquotas: [{bureau: east}, {bureau: east, day: 1}]", "quotas[1].bureau"},
		"a quota of nobody":                   {"gate: chip", "gate: chip\nquotas: [{hour: 1}]", "quotas[0].bureau"},
		"no card key at all":                  {"rsa: [2048]", "rsa: []", "card_keys"},
		"a PIN in two places":                 {"pin_file: authority.pin", "pin_file: authority.pin, pin_descriptor: 3", "pin_descriptor"},
		"a PIN from standard input":           {"pin_file: authority.pin", "pin_descriptor: 0x1", "pin_descriptor"},
		"lists that lapse between two others": {"validity: 144h", "validity: 30h", "lists.validity"},
		"a responder behind TLS":              {"ocsp: http:", "ocsp: https:", "certificates.ocsp"},
		"no ledger":                           {"ledger: ledger.db\n", "", "ledger"},
		"an address without a port":           {"listen: 127.0.0.1:8443", "listen: 127.0.0.1", "listen"},
		"responders that lapse":               {"responder_days: 7", "responder_days: 3", "responder_days"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(authority, c.old, c.new, 1)
			if text == authority {
				t.Fatalf("%q is not in the configuration", c.old)
			}
			_, err := ReadAuthority(write(t, text))
			if err == nil || !strings.Contains(err.Error(), c.names) {
				t.Fatalf("got %v, want an error that names %q", err, c.names)
			}
			if name != "a key twice" && !errors.Is(err, ErrInvalid) {
				t.Fatalf("got %v, want ErrInvalid", err)
			}
		})
	}
}

func TestAMissingFileIsNamed(t *testing.T) {
	_, err := ReadStatus(filepath.Join(t.TempDir(), "status.yaml"))
	if !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("got %v, want os.ErrNotExist", err)
	}
}
