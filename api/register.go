package api

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"cpsca/client"
	"cpsca/registry"
)

// rowsPerSlice is how many rows of a register file are committed at a time:
// few enough that a loss report never waits for long.
const rowsPerSlice = 500

// intake gathers the rows of a file into slices. The import is announced with the first one,
// so that a foreign file leaves no trace.
type intake[T any] struct {
	begin  func() (Import, error)
	commit func(Import, []T) error
	opened Import
	rows   []T
}

// storeError marks what the ledger said, beside what is wrong with a file.
type storeError struct{ error }

func (e storeError) Unwrap() error { return e.error }

func (i *intake[T]) each(_ int, row T) error {
	i.rows = append(i.rows, row)
	if len(i.rows) < rowsPerSlice {
		return nil
	}
	return i.flush()
}

// flush commits what has come, and announces the import if nothing did before.
func (i *intake[T]) flush() error {
	if i.opened == nil {
		opened, err := i.begin()
		if err != nil {
			return storeError{err}
		}
		i.opened = opened
	}
	if len(i.rows) > 0 {
		err := i.commit(i.opened, i.rows)
		if err != nil {
			return storeError{err}
		}
	}
	clear(i.rows)
	i.rows = i.rows[:0]
	return nil
}

// read is one of the readers of package registry.
type read[T any] func(name string, r io.Reader, each func(int, T) error) (*registry.Report, error)

// take reads the register file that is the body of a request and answers with
// its report.
func take[T any](s *Server, w *transfer, r *http.Request, kind string, read read[T], commit func(Import, []T) error) error {
	name, err := fileName(r, kind)
	if err != nil {
		return err
	}
	ctx := r.Context()
	i := &intake[T]{
		begin:  func() (Import, error) { return s.config.BeginImport(ctx, callerOf(r).Person, kind, name) },
		commit: commit,
	}
	report, err := read(name, r.Body, i.each)
	if err == nil {
		err = i.flush()
	}
	var failed storeError
	switch {
	case errors.Is(err, registry.ErrForeignFile):
		return err
	case errors.As(err, &failed):
		return fmt.Errorf("importing %s: %w", kind, failed.error)
	case err != nil:
		return &bodyEnd{lines: report.Lines, cause: err}
	}
	err = i.opened.Finish(ctx, report)
	if err != nil {
		return fmt.Errorf("closing the import of %s: %w", kind, err)
	}
	return reply(w, http.StatusOK, report)
}

// fileName reads the name that a file goes by: at most 128 characters, all
// graphic.
func fileName(r *http.Request, kind string) (string, error) {
	name := r.URL.Query().Get("file")
	if name == "" {
		return kind, nil
	}
	if !utf8.ValidString(name) || utf8.RuneCountInString(name) > 128 {
		return "", fmt.Errorf("%w: file is a name of at most 128 characters", errParameter)
	}
	for _, c := range name {
		if !unicode.IsGraphic(c) {
			return "", fmt.Errorf("%w: file is a name of graphic characters", errParameter)
		}
	}
	return name, nil
}

func (s *Server) importPersons(w *transfer, r *http.Request) error {
	return take(s, w, r, client.Persons, registry.ReadPersons, func(i Import, rows []registry.PersonRow) error {
		return i.Persons(r.Context(), rows)
	})
}

func (s *Server) importEvents(w *transfer, r *http.Request) error {
	return take(s, w, r, client.Events, registry.ReadEvents, func(i Import, rows []registry.Event) error {
		return i.Events(r.Context(), rows)
	})
}

func (s *Server) importContacts(w *transfer, r *http.Request) error {
	return take(s, w, r, client.Contacts, registry.ReadContacts, func(i Import, rows []registry.Contact) error {
		return i.Contacts(r.Context(), rows)
	})
}

// rppsLength is how an RPPS number alone is told from a national identifier,
// none of which has eleven characters.
const rppsLength = 11

// holderID reads a national identifier, or an RPPS number alone.
func holderID(text string) (registry.NationalID, error) {
	if len(text) != rppsLength {
		return registry.ParseNationalID(text)
	}
	number, err := registry.ParseRPPS(text)
	if err != nil {
		return "", err
	}
	return number.NationalID(), nil
}

func (s *Server) person(w *transfer, r *http.Request) error {
	id, err := holderID(r.PathValue("id"))
	if err != nil {
		return err
	}
	person, events, contact, err := s.config.Register.Holder(r.Context(), id)
	if err != nil {
		return err
	}
	out := client.Person{Person: person, Events: orEmpty(events), Entitlements: entitlements(person, events, s.config.Now())}
	out.Person.Practices = orEmpty(person.Practices)
	if contact != (registry.Contact{}) {
		out.Contact = &contact
	}
	return reply(w, http.StatusOK, out)
}

// entitlements says for each profession of a person whether a card may be had.
func entitlements(person registry.Person, events []registry.Event, now time.Time) []client.Entitlement {
	out := []client.Entitlement{}
	for _, practice := range person.Practices {
		code := practice.Profession
		if code == 0 || slices.ContainsFunc(out, func(e client.Entitlement) bool { return e.Profession == code }) {
			continue
		}
		e := client.Entitlement{Profession: code}
		known, ok := registry.Profession(code)
		if ok {
			e.Label = known.Label
		}
		err := registry.Eligible(person, code, events, now)
		e.Entitled = err == nil
		if err != nil {
			e.Reason = err.Error()
		}
		out = append(out, e)
	}
	return out
}

// holderOf reads the holder of the query.
func holderOf(r *http.Request) (registry.NationalID, error) {
	return holderID(r.URL.Query().Get("holder"))
}
