package api

import (
	"net/http"
	"time"

	"cpsca/card"
	"cpsca/client"
	"cpsca/lifecycle"
	"cpsca/officer"
)

func (s *Server) spoiled(w *transfer, r *http.Request) error {
	number, err := numberOf(r)
	if err != nil {
		return err
	}
	c := callerOf(r)
	after, err := s.config.Workshop.Spoil(r.Context(), c.Person, c.Bureau, number)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, after)
}

func (s *Server) activate(w *transfer, r *http.Request) error {
	number, err := numberOf(r)
	if err != nil {
		return err
	}
	after, err := s.config.Desk.Activate(r.Context(), callerOf(r).Person, number)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, after)
}

// loss takes a report. The clock of a loss starts when the request is here,
// before anything of it is read.
func (s *Server) loss(w *transfer, r *http.Request) error {
	received := s.config.Now().UTC().Truncate(time.Millisecond)
	number, err := numberOf(r)
	if err != nil {
		return err
	}
	var report client.Loss
	err = decode(w, r, &report)
	if err != nil {
		return err
	}
	c := callerOf(r)
	done, err := s.config.Desk.ReportLoss(r.Context(), c.Person, lifecycle.Loss{
		Card: number, Circumstance: report.Circumstance, Happened: report.Happened.UTC(), Received: received,
	})
	if err != nil {
		return err
	}
	out := client.LossAnswer{Report: done.Report, Card: done.Card, Replacement: done.Replacement}
	if done.Why != nil {
		out.NoReplacement = s.problem(r.Context(), done.Why, c.french)
	}
	return reply(w, http.StatusCreated, out)
}

// found reads the card of the path. To a bureau another bureau's card does not
// exist.
func (s *Server) found(r *http.Request) (card.Card, error) {
	number, err := numberOf(r)
	if err != nil {
		return card.Card{}, err
	}
	one, err := s.config.Cards.Card(r.Context(), number)
	if err != nil {
		return card.Card{}, err
	}
	c := callerOf(r)
	if c.Role == officer.Bureau && one.Bureau != c.Bureau {
		return card.Card{}, card.ErrNotFound
	}
	return one, nil
}

func (s *Server) card(w *transfer, r *http.Request) error {
	one, err := s.found(r)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, one)
}

func (s *Server) cards(w *transfer, r *http.Request) error {
	holder, err := holderOf(r)
	if err != nil {
		return err
	}
	list, err := s.config.Cards.CardsOf(r.Context(), holder)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, client.CardList{Cards: orEmpty(list)})
}

func (s *Server) history(w *transfer, r *http.Request) error {
	one, err := s.found(r)
	if err != nil {
		return err
	}
	steps, err := s.config.Histories.History(r.Context(), one.ID)
	if err != nil {
		return err
	}
	certificates, err := s.config.Histories.CertificatesOf(r.Context(), one.ID)
	if err != nil {
		return err
	}
	reports, err := s.config.Histories.LossReports(r.Context(), one)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, client.History{
		Card: one, Steps: orEmpty(steps), Certificates: orEmpty(certificates), LossReports: orEmpty(reports),
	})
}
