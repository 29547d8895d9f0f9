// Package card holds the nouns that every room above speaks (cards, orders,
// intents, certificates, revocations, loss reports) and the law of the house:
// one holder has, per profession and form, at most one live card and at most
// one waiting (docs/DESIGN.md, "The law").
//
// The state machine of a card is a table (state.go); lifecycle moves cards
// through it, store keeps them, and two partial unique indexes there state the
// law a second time. What crosses from the store as an error that somebody
// decides on is a sentinel of this package (errors.go).
//
// Nothing here reads a clock, a file or a database, builds a certificate or
// knows a profile. Reasons and status words follow RFC 5280 §5.3.1 and
// RFC 6960 §2.2.
package card
