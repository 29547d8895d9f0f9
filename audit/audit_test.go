package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"
)

type written struct {
	event  Event
	leaves []Opened
}

func journal(t *testing.T, n int) []written {
	t.Helper()
	var previous Digest
	var out []written
	for i := 1; i <= n; i++ {
		var leaves []Opened
		var commitments []Digest
		for j := 0; j < i%3; j++ {
			l := Leaf{Subject: fmt.Sprint(i, j), Clear: fmt.Appendf(nil, "row %d/%d", i, j), Salt: NewSalt()}
			leaves = append(leaves, Opened{Commitment: l.Commitment(), Leaf: l})
			commitments = append(commitments, l.Commitment())
		}
		e := Event{Sequence: int64(i), Time: time.Date(2026, 1, 1, 0, 0, i, 0, time.UTC), Actor: "desk one", Action: "order", Leaves: LeavesDigest(commitments), Previous: previous}
		hash, err := e.Hash()
		if err != nil {
			t.Fatal(err)
		}
		previous = hash
		out = append(out, written{e, leaves})
	}
	return out
}

func walk(entries []written) (Head, error) {
	var v Verifier
	for _, w := range entries {
		err := v.Next(w.event, w.leaves)
		if err != nil {
			return v.Head(), err
		}
	}
	return v.Head(), nil
}

func TestVerifierAcceptsWhatWasWritten(t *testing.T) {
	head, err := walk(journal(t, 10))
	if err != nil || head.Sequence != 10 {
		t.Fatalf("walk: head %d, %v", head.Sequence, err)
	}
}

func TestVerifierAcceptsAnErasedLeaf(t *testing.T) {
	entries := journal(t, 5)
	entries[1].leaves[0].Leaf = Leaf{}
	entries[1].leaves[0].Erased = true
	_, err := walk(entries)
	if err != nil {
		t.Fatal(err)
	}
}

func TestVerifierFindsEveryTampering(t *testing.T) {
	cases := map[string]struct {
		change func(e []written) []written
		want   error
	}{
		"an event removed":             {func(e []written) []written { return append(e[:3], e[4:]...) }, ErrGap},
		"two events swapped":           {func(e []written) []written { e[3], e[4] = e[4], e[3]; return e }, ErrGap},
		"two actions changed":          {func(e []written) []written { e[3].event.Action, e[4].event.Action = "loss", "loss"; return e }, ErrChain},
		"an actor changed":             {func(e []written) []written { e[2].event.Actor = "somebody else"; return e }, ErrChain},
		"a time changed":               {func(e []written) []written { e[2].event.Time = e[2].event.Time.Add(time.Millisecond); return e }, ErrChain},
		"a leaf's clear text changed":  {func(e []written) []written { e[1].leaves[0].Leaf.Clear = []byte("row"); return e }, ErrLeaf},
		"a salt changed":               {func(e []written) []written { e[1].leaves[0].Leaf.Salt[0] ^= 1; return e }, ErrLeaf},
		"a commitment changed":         {func(e []written) []written { e[1].leaves[0].Commitment[0] ^= 1; e[1].leaves[0].Erased = true; return e }, ErrLeaves},
		"a leaf removed":               {func(e []written) []written { e[1].leaves = e[1].leaves[:1]; return e }, ErrLeaves},
		"two leaves swapped":           {func(e []written) []written { l := e[1].leaves; l[0], l[1] = l[1], l[0]; return e }, ErrLeaves},
		"the first event not numbered": {func(e []written) []written { e[0].event.Sequence = 0; return e }, ErrGap},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := walk(c.change(journal(t, 8)))
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestReachesFindsATruncatedJournal(t *testing.T) {
	entries := journal(t, 6)
	whole, err := walk(entries)
	if err != nil {
		t.Fatal(err)
	}
	var v Verifier
	for _, w := range entries[:5] {
		err = v.Next(w.event, w.leaves)
		if err != nil {
			t.Fatal(err)
		}
	}
	err = v.Reaches(whole)
	if !errors.Is(err, ErrHead) {
		t.Fatalf("got %v, want ErrHead", err)
	}
}

func TestCanonicalIsRFC8785WithSortedKeys(t *testing.T) {
	e := Event{Sequence: 7, Time: time.Date(2026, 2, 3, 4, 5, 6, 7e6, time.UTC), Actor: "a <b> & c", Action: "order"}
	got, err := e.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	zero := Digest{}.String()
	want := `{"action":"order","actor":"a <b> & c","leaves":"` + zero + `","previous":"` + zero + `","sequence":7,"time":"2026-02-03T04:05:06.007Z"}`
	if string(got) != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	var any map[string]any
	err = json.Unmarshal(got, &any)
	if err != nil {
		t.Fatal(err)
	}
	hash, _ := e.Hash()
	if hash != sha256.Sum256(got) {
		t.Fatal("the hash is not SHA-256 of the canonical bytes")
	}
}

func TestCanonicalRefusesTextWithMoreThanOneForm(t *testing.T) {
	for _, bad := range []string{"", "é", "a\nb", string(bytes.Repeat([]byte("x"), 129))} {
		_, err := Event{Sequence: 1, Actor: bad, Action: "order"}.Canonical()
		if !errors.Is(err, ErrText) {
			t.Fatalf("actor %q: got %v, want ErrText", bad, err)
		}
	}
}
