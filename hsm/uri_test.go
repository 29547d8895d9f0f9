package hsm

import (
	"strings"
	"testing"
)

func TestKeyURIs(t *testing.T) {
	for text, want := range map[string]URI{
		"pkcs11:object=root": {Object: "root"},
		"PKCS11:object=root": {Object: "root"},
		"pkcs11:token=My%20HSM;object=issuing%20CA;type=private": {Object: "issuing CA", Token: "My HSM"},
		"pkcs11:object=a+b":                                           {Object: "a+b"},
		"pkcs11:object=a=b&c":                                         {Object: "a=b&c"},
		"pkcs11:serial=0123456789abcdef;object=%c3%a9":                {Object: "é", Serial: "0123456789abcdef"},
		"pkcs11:object=" + strings.Repeat("%41", 64):                  {Object: strings.Repeat("A", 64)},
		"pkcs11:token=" + strings.Repeat("t", 32) + ";object=:[]@!$'": {Object: ":[]@!$'", Token: strings.Repeat("t", 32)},
	} {
		got, err := ParseURI(text)
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", text, got, err, want)
		}
	}
}

func TestKeyURIsThatAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":                       "",
		"another scheme":                "softkms:object=root",
		"no attribute":                  "pkcs11:",
		"no object":                     "pkcs11:token=t",
		"an empty object":               "pkcs11:object=",
		"an attribute without a value":  "pkcs11:object",
		"an empty attribute":            "pkcs11:object=root;",
		"a repeated attribute":          "pkcs11:object=root;object=leaf",
		"an unknown attribute":          "pkcs11:object=root;x-vendor=1",
		"a slot":                        "pkcs11:object=root;slot-id=1",
		"an id":                         "pkcs11:object=root;id=%01",
		"a PIN":                         "pkcs11:object=root?pin-value=canary",
		"a PIN among the path":          "pkcs11:object=root;pin-value=canary",
		"a PIN of the library":          "pkcs11:object=root?pin-source=file:/canary",
		"a public key":                  "pkcs11:object=root;type=public",
		"a space":                       "pkcs11:object=my root",
		"a slash":                       "pkcs11:object=a/b",
		"half an escape":                "pkcs11:object=root%4",
		"an escape that is none":        "pkcs11:object=root%4g",
		"an escaped control character":  "pkcs11:object=root%0a",
		"bytes that are no UTF-8":       "pkcs11:object=%ff",
		"UTF-8 that is not escaped":     "pkcs11:object=é",
		"a fragment":                    "pkcs11:object=root#x",
		"a label that is too long":      "pkcs11:object=" + strings.Repeat("a", 65),
		"a token that is too long":      "pkcs11:object=a;token=" + strings.Repeat("a", 33),
		"a serial that is too long":     "pkcs11:object=a;serial=" + strings.Repeat("a", 17),
		"an attribute name in capitals": "pkcs11:OBJECT=root",
	} {
		got, err := ParseURI(text)
		if err == nil {
			t.Errorf("%s was accepted: %+v", name, got)
		} else if strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the error shows the value: %v", name, err)
		}
	}
}

// What is accepted is written back to something that means the same, and holds only what a label may hold.
func FuzzParseURI(f *testing.F) {
	for _, seed := range []string{"pkcs11:object=root", "pkcs11:token=a%20b;serial=1;object=%c3%a9;type=private", "pkcs11:object=a?pin-value=1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := ParseURI(text)
		if err != nil {
			return
		}
		if checkLabel(u.Object) != nil || len(u.Token) > tokenLabel || len(u.Serial) > tokenSerial {
			t.Errorf("%q gives %+v", text, u)
		}
		again, err := ParseURI(u.String())
		if err != nil || again != u {
			t.Errorf("%q gives %+v, whose text %q gives %+v, %v", text, u, u.String(), again, err)
		}
	})
}
