package api

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"cpsca/ca"
	"cpsca/card"
	"cpsca/lifecycle"
	"cpsca/registry"
)

// sentinels is every error that a room below may give the doors. The test
// holds it against the sources, so that a new sentinel gets its problem.
var sentinels = map[string]error{
	"card.ErrNotFound": card.ErrNotFound, "card.ErrUnknownHolder": card.ErrUnknownHolder, "card.ErrLiveCard": card.ErrLiveCard,
	"card.ErrWaitingCard": card.ErrWaitingCard, "card.ErrNoLiveCard": card.ErrNoLiveCard, "card.ErrOrderUnknown": card.ErrOrderUnknown,
	"card.ErrOrderClosed": card.ErrOrderClosed, "card.ErrOrderBound": card.ErrOrderBound, "card.ErrInFlight": card.ErrInFlight,
	"card.ErrKeyKnown": card.ErrKeyKnown, "card.ErrNumberTaken": card.ErrNumberTaken, "card.ErrSerialTaken": card.ErrSerialTaken,
	"card.ErrNotReady": card.ErrNotReady, "card.ErrNoSpace": card.ErrNoSpace, "card.ErrQuota": card.ErrQuota, "card.ErrStale": card.ErrStale, "card.ErrFenced": card.ErrFenced, "card.ErrNumber": card.ErrNumber,
	"card.QuotaError": &card.QuotaError{}, "card.TransitionError": &card.TransitionError{State: card.Revoked, Event: card.Activate},

	"ca.ErrRequest": ca.ErrRequest, "ca.ErrProof": ca.ErrProof, "ca.ErrChallenge": ca.ErrChallenge, "ca.ErrKey": ca.ErrKey,
	"ca.ErrIncomplete": ca.ErrIncomplete, "ca.ErrTwoProofs": ca.ErrTwoProofs, "ca.ErrBusy": ca.ErrBusy, "ca.ErrStopped": ca.ErrStopped, "ca.ErrSignature": ca.ErrSignature,
	"ca.ErrAbandoned": ca.ErrAbandoned, "ca.ErrConfig": ca.ErrConfig, "ca.ErrIssuer": ca.ErrIssuer,

	"lifecycle.ErrWhy": lifecycle.ErrWhy, "lifecycle.ErrProfession": lifecycle.ErrProfession, "lifecycle.ErrCircumstance": lifecycle.ErrCircumstance,
	"lifecycle.ErrEnvironment": lifecycle.ErrEnvironment, "lifecycle.ErrHappened": lifecycle.ErrHappened, "lifecycle.ErrBureau": lifecycle.ErrBureau,

	"registry.ErrIDEmpty": registry.ErrIDEmpty, "registry.ErrIDKind": registry.ErrIDKind, "registry.ErrIDShape": registry.ErrIDShape,
	"registry.ErrRPPSLength": registry.ErrRPPSLength, "registry.ErrRPPSDigit": registry.ErrRPPSDigit, "registry.ErrRPPSKey": registry.ErrRPPSKey,
	"registry.ErrDeceased": registry.ErrDeceased, "registry.ErrStruckOff": registry.ErrStruckOff, "registry.ErrSuspended": registry.ErrSuspended,
	"registry.ErrRetired": registry.ErrRetired, "registry.ErrProfessionNotHeld": registry.ErrProfessionNotHeld,
	"registry.ErrForeignFile": registry.ErrForeignFile, "registry.ErrIncompleteAddress": registry.ErrIncompleteAddress,
}

// reported are errors that are told in a report, or at the start of the
// authority, and never as a problem.
var reported = map[string]bool{"registry.LineError": true, "ca.ErrBlocklist": true}

func TestEverySentinelHasItsProblem(t *testing.T) {
	for name, err := range sentinels {
		wrapped := fmt.Errorf("doing something: %w", err)
		e, ok := entryOf(wrapped)
		if !ok {
			t.Errorf("%s has no problem", name)
			continue
		}
		_, isTransition := err.(*card.TransitionError)
		if !errors.Is(wrapped, e.err) && !isTransition {
			t.Errorf("%s has the problem of %v", name, e.err)
		}
	}
	for _, room := range []string{"card", "ca", "lifecycle", "registry"} {
		for _, name := range declared(t, room) {
			_, ok := sentinels[name]
			if !ok && !reported[name] {
				t.Errorf("%s is declared in the source and has no problem here", name)
			}
		}
	}
}

// declared lists the exported errors of a room: variables Err… and types …Error.
func declared(t *testing.T, room string) []string {
	t.Helper()
	files, err := filepath.Glob("../" + room + "/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range tree.Decls {
			group, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range group.Specs {
				out = append(out, errorsOf(room, spec)...)
			}
		}
	}
	if len(out) == 0 {
		t.Fatalf("found no error in %s", room)
	}
	return out
}

func errorsOf(room string, spec ast.Spec) []string {
	var out []string
	switch spec := spec.(type) {
	case *ast.ValueSpec:
		for _, name := range spec.Names {
			if strings.HasPrefix(name.Name, "Err") {
				out = append(out, room+"."+name.Name)
			}
		}
	case *ast.TypeSpec:
		if spec.Name.IsExported() && strings.HasSuffix(spec.Name.Name, "Error") {
			out = append(out, room+"."+spec.Name.Name)
		}
	}
	return out
}

func TestTheCatalogueIsWhole(t *testing.T) {
	slug := regexp.MustCompile(`^[a-z][a-z-]+$`)
	codes := make(map[string]bool)
	for _, part := range catalogue {
		for _, e := range part {
			if !slug.MatchString(e.code) || codes[e.code] {
				t.Errorf("code %q is no slug, or used twice", e.code)
			}
			codes[e.code] = true
			if http.StatusText(e.status) == "" || e.status < 400 {
				t.Errorf("%s has status %d", e.code, e.status)
			}
			if e.status == http.StatusServiceUnavailable && e.retry == 0 {
				t.Errorf("%s does not say when to come back", e.code)
			}
			for _, s := range []text{e.title, e.detail} {
				if s.english == "" || s.french == "" || s.english == s.french {
					t.Errorf("%s lacks a language: %+v", e.code, s)
				}
			}
			if strings.HasSuffix(e.title.english, ".") || !strings.HasSuffix(e.detail.english, ".") || !strings.HasSuffix(e.detail.french, ".") {
				t.Errorf("%s: a title has no full stop, a detail has one", e.code)
			}
		}
	}
}

func TestTheGravestCauseNamesTheProblem(t *testing.T) {
	cases := map[string]struct {
		err  error
		code string
	}{
		"an abandoned attempt of a stopped issuer": {fmt.Errorf("%w: %w", ca.ErrAbandoned, ca.ErrStopped), "issuer-stopped"},
		"an abandoned attempt":                     {fmt.Errorf("%w: %w", ca.ErrAbandoned, ca.ErrSignature), "abandoned"},
		"an order without address":                 {fmt.Errorf("%w: %w", card.ErrNotReady, registry.ErrIncompleteAddress), "not-ready"},
		"a loss with a stale card":                 {errors.Join(card.ErrStale, card.ErrNotFound), "changed-meanwhile"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			e, _ := entryOf(c.err)
			if e.code != c.code {
				t.Fatalf("got %s, want %s", e.code, c.code)
			}
		})
	}
}
