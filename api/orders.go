package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"cpsca/card"
	"cpsca/client"
	"cpsca/lifecycle"
	"cpsca/officer"
	"cpsca/registry"
)

const (
	ordersPerPage    = 100
	maxOrdersPerPage = 1000
	// maxReady bounds the limit of ready orders; without one the stream has
	// them all.
	maxReady = 10_000_000
	// readyPage is how many orders are read at a time for the stream.
	readyPage = 256
)

func (s *Server) order(w *transfer, r *http.Request) error {
	var request client.OrderRequest
	err := decode(w, r, &request)
	if err != nil {
		return err
	}
	holder, err := holderID(string(request.Holder))
	if err != nil {
		return err
	}
	err = s.bureau(r.Context(), request.Bureau)
	if err != nil {
		return err
	}
	o, err := s.config.Desk.Order(r.Context(), callerOf(r).Person, lifecycle.OrderRequest{
		Holder: holder, Profession: request.Profession, Why: request.Why, Bureau: request.Bureau,
	})
	if err != nil {
		return err
	}
	return reply(w, http.StatusCreated, o)
}

// bureau checks that somebody can answer the orders of a bureau: an order for
// nobody would keep its holder from every other card. None means the usual one.
func (s *Server) bureau(ctx context.Context, name string) error {
	if name == "" {
		return nil
	}
	list, err := s.config.Enrolments.Enrolments(ctx)
	if err != nil {
		return err
	}
	for _, e := range list {
		if e.Role != officer.Bureau || e.Bureau != name || !e.Ended.IsZero() {
			continue
		}
		_, err = s.config.Enrolments.Enrolled(ctx, e.Fingerprint) // it may be revoked
		if !errors.Is(err, card.ErrNotFound) {
			return err
		}
	}
	return errNoBureau
}

func (s *Server) cancelOrder(w *transfer, r *http.Request) error {
	id := r.PathValue("id")
	if !orderName(id) {
		return card.ErrNotFound
	}
	after, err := s.config.Desk.Cancel(r.Context(), callerOf(r).Person, card.OrderID(id))
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, after)
}

// orders lists orders; a bureau sees its own.
func (s *Server) orders(w *transfer, r *http.Request) error {
	limit, err := count(r, "limit", 1, maxOrdersPerPage)
	if err != nil {
		return err
	}
	if limit == 0 {
		limit = ordersPerPage
	}
	query := r.URL.Query()
	state := card.OrderState(query.Get("state"))
	switch state {
	case "", card.OrderOpen, card.OrderFulfilled, card.OrderClosed:
	default:
		return fmt.Errorf("%w: state is open, fulfilled or closed", errParameter)
	}
	bureau := query.Get("bureau")
	c := callerOf(r)
	if c.Role == officer.Bureau {
		if bureau != "" && bureau != c.Bureau {
			return errRole
		}
		bureau = c.Bureau
	}
	list, err := s.config.Orders.Orders(r.Context(), bureau, state, card.OrderID(query.Get("after")), limit)
	if err != nil {
		return err
	}
	dossiers, err := s.dossiers(r.Context(), list)
	if err != nil {
		return err
	}
	out := client.OrderList{Orders: make([]client.Order, len(list))}
	for i, o := range list {
		out.Orders[i] = s.orderView(o, dossiers[o.ID])
	}
	if len(list) == limit {
		out.Next = list[limit-1].ID
	}
	return reply(w, http.StatusOK, out)
}

// dossiers reads what is known about orders of any bureau.
func (s *Server) dossiers(ctx context.Context, list []card.Order) (map[card.OrderID]card.Dossier, error) {
	ids := make(map[string][]card.OrderID)
	for _, o := range list {
		ids[o.Bureau] = append(ids[o.Bureau], o.ID)
	}
	out := make(map[card.OrderID]card.Dossier, len(list))
	for bureau, some := range ids {
		found, err := s.config.Orders.Dossiers(ctx, bureau, some)
		if err != nil {
			return nil, err
		}
		for id, d := range found {
			out[id] = d
		}
	}
	return out, nil
}

func (s *Server) orderView(o card.Order, d card.Dossier) client.Order {
	out := client.Order{Order: o, Card: d.Card.Number, CardState: d.Card.State}
	if o.State != card.OrderOpen {
		return out
	}
	err := ready(d, s.config.Now())
	out.Ready = err == nil
	if err != nil {
		out.Missing = err.Error()
	}
	return out
}

// ready says what an order still waits for before its bureau may answer it.
func ready(d card.Dossier, now time.Time) error {
	switch {
	case d.Order.State != card.OrderOpen || d.Card.State != card.Ordered:
		return card.ErrOrderClosed
	case d.Intent:
		return card.ErrInFlight
	case d.Person.ID == "":
		return card.ErrUnknownHolder
	}
	err := registry.Eligible(d.Person, d.Order.Profession, d.Events, now)
	if err != nil {
		return err
	}
	return d.Contact.Complete()
}

// readyOrders streams the orders that a bureau may answer now.
func (s *Server) readyOrders(w *transfer, r *http.Request) error {
	limit, err := count(r, "limit", 1, maxReady)
	if err != nil {
		return err
	}
	if limit == 0 {
		limit = maxReady
	}
	c := callerOf(r)
	after := card.OrderID(r.URL.Query().Get("after"))
	w.Header().Set("Content-Type", ndjson)
	out := json.NewEncoder(w)
	for {
		page, err := s.config.Orders.Orders(r.Context(), c.Bureau, card.OrderOpen, after, readyPage)
		var dossiers map[card.OrderID]card.Dossier
		if err == nil {
			dossiers, err = s.dossiers(r.Context(), page)
		}
		if err != nil {
			return s.broken(r.Context(), w, out, err, c, func(p *client.Problem) any { return client.ReadyOrder{Problem: p} })
		}
		for _, o := range page {
			d := dossiers[o.ID]
			if ready(d, s.config.Now()) != nil {
				continue
			}
			err = out.Encode(readyOrder(d))
			if err != nil {
				return nil // the caller left
			}
			limit--
			if limit == 0 {
				return nil
			}
		}
		if len(page) < readyPage {
			return nil
		}
		after = page[len(page)-1].ID
	}
}

// broken ends a stream: by a status if nothing was written yet, else by a line.
func (s *Server) broken(ctx context.Context, w *transfer, out *json.Encoder, err error, c *caller, line func(*client.Problem) any) error {
	if w.status == 0 {
		return err
	}
	_ = out.Encode(line(s.problem(ctx, err, c.french))) // a caller who left hears nothing
	return nil
}

func readyOrder(d card.Dossier) client.ReadyOrder {
	label := ""
	known, ok := registry.Profession(d.Order.Profession)
	if ok {
		label = known.Label
	}
	return client.ReadyOrder{
		Order: d.Order.ID, Type: d.Order.Type, TypeName: d.Order.Type.String(), Profession: d.Order.Profession, ProfessionLabel: label,
		Why: d.Order.Why, Replaces: d.Order.Replaces, Created: d.Order.Created, Challenges: d.Order.Challenges,
		Holder: client.HolderName{
			ID: d.Person.ID, ExerciseCivility: d.Person.ExerciseCivility, FamilyName: d.Person.FamilyName, GivenName: d.Person.GivenName,
		},
		Address: client.Address{
			Recipient: d.Contact.Recipient, Complement: d.Contact.Complement, Street: d.Contact.Street, Locality: d.Contact.Locality,
			PostalCode: d.Contact.PostalCode, City: d.Contact.City, Country: d.Contact.Country,
		},
	}
}
