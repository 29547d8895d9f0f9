package card

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// The text is written down once octet by octet: bureaux build it from the
// guide, in languages of their own.
func TestTheTextOfAProofIsThatOfTheGuide(t *testing.T) {
	got := ProofText("4ny7xeg65fym4vgy", "2826434078", Signature, []byte{0x30, 0x00}, "challenge")
	want := "\x00\x00\x00\x1bcpsca proof of possession 1" +
		"\x00\x00\x00\x104ny7xeg65fym4vgy" +
		"\x00\x00\x00\x0a2826434078" +
		"\x00\x00\x00\x09signature" +
		"\x00\x00\x00\x02\x30\x00" +
		"\x00\x00\x00\x09challenge"
	if string(got) != want {
		t.Fatalf("got %q, want %q", got, want)
	}
}

// FuzzProofText: the fields can be read back, so that no other fields have the
// same text.
func FuzzProofText(f *testing.F) {
	f.Add("o", "1", "signature", []byte{0x30}, "c")
	f.Add("", "", "", []byte(nil), "")
	f.Add("a\x00\x00\x00\x01b", "", "", bytes.Repeat([]byte("x"), 70_000), "")
	f.Fuzz(func(t *testing.T, order, number, use string, key []byte, challenge string) {
		text := ProofText(OrderID(order), Number(number), Use(use), key, challenge)
		for _, want := range []string{ProofLabel, order, number, use, string(key), challenge} {
			if len(text) < 4 {
				t.Fatal("a field is missing")
			}
			n := int(binary.BigEndian.Uint32(text))
			if len(text) < 4+n || string(text[4:4+n]) != want {
				t.Fatalf("got %q, want the field %q", text, want)
			}
			text = text[4+n:]
		}
		if len(text) != 0 {
			t.Fatalf("%d octets behind the last field", len(text))
		}
	})
}

func TestAnApplicationHasAProofForEachUseAndNoOther(t *testing.T) {
	var a Application
	for n, use := range Uses {
		a.Proof(use).Request = []byte(use)
		if string(a.Proofs[n].Request) != string(use) {
			t.Errorf("%s is not in its place", use)
		}
	}
	if a.Proof("encryption") != nil {
		t.Error("there is a proof for an unknown use")
	}
}
