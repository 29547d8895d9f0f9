package card

import "errors"

// What the ledger refuses, in words that a caller decides on with errors.Is.
var (
	// ErrNotFound: nothing of that name is in the ledger.
	ErrNotFound = errors.New("not found")
	// ErrUnknownHolder: the register has no such person. No number in the
	// register, no card.
	ErrUnknownHolder = errors.New("no such number in the register")
	// ErrLiveCard: the holder already has a live card of this profession and
	// form.
	ErrLiveCard = errors.New("the holder already has a live card")
	// ErrWaitingCard: a card of this profession and form is already on its
	// way to the holder.
	ErrWaitingCard = errors.New("a card is already on its way to the holder")
	// ErrNoLiveCard: a renewal was asked for a holder without a live card.
	ErrNoLiveCard = errors.New("the holder has no live card to renew")
	// ErrOrderUnknown: the order does not exist, or another bureau's.
	ErrOrderUnknown = errors.New("no such order for this bureau")
	// ErrOrderClosed: the order authorises no card any more.
	ErrOrderClosed = errors.New("the order is closed")
	// ErrOrderBound: the order was already answered with another card or
	// other keys.
	ErrOrderBound = errors.New("the order is bound to another card or other keys")
	// ErrInFlight: an attempt at this order is being signed right now.
	ErrInFlight = errors.New("an attempt at this order is under way")
	// ErrKeyKnown: the public key was seen before, on another order or in
	// the infrastructure.
	ErrKeyKnown = errors.New("the public key was seen before")
	// ErrNumberTaken: the card number belongs to another card.
	ErrNumberTaken = errors.New("the card number belongs to another card")
	// ErrSerialTaken: the issuer has used the serial before.
	ErrSerialTaken = errors.New("the serial was used before")
	// ErrNotReady: the order misses something that is not the bureau's to
	// give, such as the delivery address.
	ErrNotReady = errors.New("the order is not ready")
	// ErrNoSpace: the ledger's disk is too full for new certificates;
	// revocations go on.
	ErrNoSpace = errors.New("the ledger's disk is nearly full")
	// ErrStale: the row changed since it was read; read again.
	ErrStale = errors.New("changed meanwhile")
	// ErrFenced: another process has taken the ledger over.
	ErrFenced = errors.New("another process writes this ledger")
)
