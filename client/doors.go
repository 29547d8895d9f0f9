package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"cpsca/card"
	"cpsca/registry"
)

// Version asks which program answers.
func (c *Client) Version(ctx context.Context) (Version, error) {
	return call[Version](ctx, c, http.MethodGet, []string{"version"}, nil, nil)
}

// OpenAPI fetches the description of the doors, OpenAPI 3.1 in YAML.
func (c *Client) OpenAPI(ctx context.Context) ([]byte, error) { return c.octets(ctx, "openapi.yaml") }

// Person reads what the register knows of somebody, by national identifier or
// RPPS number.
func (c *Client) Person(ctx context.Context, id string) (Person, error) {
	return call[Person](ctx, c, http.MethodGet, []string{"registry", "persons", url.PathEscape(id)}, nil, nil)
}

// Order orders a card.
func (c *Client) Order(ctx context.Context, r OrderRequest) (card.Order, error) {
	return call[card.Order](ctx, c, http.MethodPost, []string{"orders"}, nil, r)
}

// CancelOrder withdraws an order whose card is not made yet, and returns the
// card that there will not be.
func (c *Client) CancelOrder(ctx context.Context, id card.OrderID) (card.Card, error) {
	return call[card.Card](ctx, c, http.MethodPost, []string{"orders", url.PathEscape(string(id)), "cancel"}, nil, nil)
}

// Orders lists one page of orders.
func (c *Client) Orders(ctx context.Context, q OrderQuery) (OrderList, error) {
	query := make(url.Values)
	set(query, "bureau", q.Bureau)
	set(query, "state", string(q.State))
	set(query, "after", string(q.After))
	setCount(query, "limit", q.Limit)
	return call[OrderList](ctx, c, http.MethodGet, []string{"orders"}, query, nil)
}

func set(query url.Values, name, value string) {
	if value != "" {
		query.Set(name, value)
	}
}

func setCount(query url.Values, name string, n int) {
	if n != 0 {
		query.Set(name, strconv.Itoa(n))
	}
}

// Spoiled reports that a card failed at the bureau. It is spoiled and its order
// open again; the fifth card of an order that fails is revoked instead, or
// cancelled, and its order closed.
func (c *Client) Spoiled(ctx context.Context, number card.Number) (card.Card, error) {
	return call[card.Card](ctx, c, http.MethodPost, cardPath(number, "spoiled"), nil, nil)
}

// Activate puts a card into its holder's hands.
func (c *Client) Activate(ctx context.Context, number card.Number) (card.Card, error) {
	return call[card.Card](ctx, c, http.MethodPost, cardPath(number, "activate"), nil, nil)
}

// ReportLoss revokes a card for ever and orders its replacement.
func (c *Client) ReportLoss(ctx context.Context, number card.Number, l Loss) (LossAnswer, error) {
	return call[LossAnswer](ctx, c, http.MethodPost, cardPath(number, "loss"), nil, l)
}

// Card reads a card.
func (c *Client) Card(ctx context.Context, number card.Number) (card.Card, error) {
	return call[card.Card](ctx, c, http.MethodGet, cardPath(number), nil, nil)
}

// CardsOf lists the cards of a holder, oldest first.
func (c *Client) CardsOf(ctx context.Context, holder registry.NationalID) ([]card.Card, error) {
	list, err := call[CardList](ctx, c, http.MethodGet, []string{"cards"}, url.Values{"holder": {string(holder)}}, nil)
	return list.Cards, err
}

// History reads the whole life of a card.
func (c *Client) History(ctx context.Context, number card.Number) (History, error) {
	return call[History](ctx, c, http.MethodGet, cardPath(number, "history"), nil, nil)
}

func cardPath(number card.Number, more ...string) []string {
	return append([]string{"cards", url.PathEscape(string(number))}, more...)
}

// Certificate reads a certificate and its status.
func (c *Client) Certificate(ctx context.Context, issuer card.KeyID, serial card.Serial) (Certificate, error) {
	return call[Certificate](ctx, c, http.MethodGet, []string{"certificates", issuer.String(), serial.String()}, nil, nil)
}

// Revoke revokes a certificate of the infrastructure.
func (c *Client) Revoke(ctx context.Context, issuer card.KeyID, serial card.Serial, reason card.Reason) (Certificate, error) {
	return call[Certificate](ctx, c, http.MethodPost, []string{"certificates", issuer.String(), serial.String(), "revoke"}, nil, Revocation{reason})
}

// Issuers lists the CA certificates of the house.
func (c *Client) Issuers(ctx context.Context) ([]Issuer, error) {
	list, err := call[IssuerList](ctx, c, http.MethodGet, []string{"issuers"}, nil, nil)
	return list.Issuers, err
}

// Lists lists the newest revocation lists of every issuer.
func (c *Client) Lists(ctx context.Context) ([]List, error) {
	list, err := call[ListList](ctx, c, http.MethodGet, []string{"lists"}, nil, nil)
	return list.Lists, err
}

// List fetches the revocation list that an issuer published last, in DER
// (RFC 5280 §5).
func (c *Client) List(ctx context.Context, issuer card.KeyID) ([]byte, error) {
	return c.octets(ctx, "lists", issuer.String())
}

// Publish makes and publishes a revocation list now.
func (c *Client) Publish(ctx context.Context, issuer card.KeyID) (List, error) {
	return call[List](ctx, c, http.MethodPost, []string{"lists", issuer.String(), "publish"}, nil, nil)
}

// Responder gets a certificate for an OCSP responder key.
func (c *Client) Responder(ctx context.Context, r ResponderRequest) (ResponderCertificate, error) {
	return call[ResponderCertificate](ctx, c, http.MethodPost, []string{"responders"}, nil, r)
}

// Enrolments lists who may use the doors.
func (c *Client) Enrolments(ctx context.Context) ([]Enrolment, error) {
	list, err := call[EnrolmentList](ctx, c, http.MethodGet, []string{"enrolments"}, nil, nil)
	return list.Enrolments, err
}
