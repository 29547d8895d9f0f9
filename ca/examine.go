package ca

import (
	"encoding/json"
	"fmt"
	"time"

	"cpsca/card"
	"cpsca/profiles"
	"cpsca/registry"
)

// examined is an application that may be signed, or one that was answered
// before.
type examined struct {
	attempt  card.Attempt
	checked  []*profiles.Checked // in the order of card.Uses, as attempt.Intents
	recorded []card.Certificate  // not nil: nothing is to be signed
}

// keyPair are the keys of a card in the order of card.Uses.
type keyPair [len(card.Uses)]*profiles.Key

// examine holds one application against its dossier. Everything that is in the
// certificate beside the card number and the keys comes from the register and
// the profile.
func (a *Authority) examine(application card.Application, d card.Dossier, requester string, now time.Time) (examined, error) {
	var keys keyPair
	for n, use := range card.Uses {
		key, err := a.config.Keys.proven(&application, use, d.Order.Challenges[use])
		if err != nil {
			return examined{}, fmt.Errorf("%s: %w", use, err)
		}
		keys[n] = key
	}
	if keys[0].Fingerprint() == keys[1].Fingerprint() {
		return examined{}, fmt.Errorf("both uses have the same key: %w", card.ErrKeyKnown)
	}
	err := bound(&application, &d, keys)
	if err != nil {
		return examined{}, err
	}
	if len(d.Issued) > 0 {
		return examined{recorded: d.Issued}, nil
	}
	err = entitled(d, now)
	if err != nil {
		return examined{}, err
	}
	return a.draw(application, d, keys, requester, now)
}

// bound refuses what an earlier attempt at the order excludes: another card or
// other keys.
func bound(application *card.Application, d *card.Dossier, keys keyPair) error {
	if d.Intent {
		return card.ErrInFlight
	}
	if d.Card.Number != "" && d.Card.Number != application.Number {
		return card.ErrOrderBound
	}
	for n, use := range card.Uses {
		known, ok := d.Keys[use]
		if ok && known != keys[n].Fingerprint() {
			return fmt.Errorf("%s: %w", use, card.ErrOrderBound)
		}
	}
	if len(d.Issued) == 0 && (d.Order.State != card.OrderOpen || d.Card.State != card.Ordered) {
		return card.ErrOrderClosed
	}
	return nil
}

// entitled asks the register, today.
func entitled(d card.Dossier, now time.Time) error {
	if d.Person.ID == "" {
		return card.ErrUnknownHolder
	}
	err := registry.Eligible(d.Person, d.Order.Profession, d.Events, now)
	if err != nil {
		return err
	}
	err = d.Contact.Complete()
	if err != nil {
		return fmt.Errorf("%w: %w", card.ErrNotReady, err)
	}
	return nil
}

// draw builds the certificates to sign, one for each use.
func (a *Authority) draw(application card.Application, d card.Dossier, keys keyPair, requester string, now time.Time) (examined, error) {
	grounds, err := json.Marshal(struct {
		Person registry.Person  `json:"person"`
		Events []registry.Event `json:"events,omitempty"`
	}{d.Person, d.Events})
	if err != nil {
		return examined{}, fmt.Errorf("writing the grounds down: %w", err)
	}
	out := examined{attempt: card.Attempt{Order: d.Order.ID, Card: d.Card.ID, Number: application.Number, Requester: requester, Grounds: grounds}}
	for n, use := range card.Uses {
		profile, ok := a.profiles[kind{d.Order.Type, use}]
		if !ok {
			return examined{}, fmt.Errorf("%w: no profile for the %s certificate of a %s", ErrConfig, use, d.Order.Type)
		}
		checked, err := profile.Check(profiles.Leaf{
			Serial:    newSerial(a.config.Instance),
			NotBefore: now,
			Key:       keys[n],
			Holder: profiles.Holder{
				ID: d.Person.ID, FamilyName: d.Person.FamilyName, GivenName: d.Person.GivenName, Profession: d.Order.Profession,
			},
			Number: application.Number,
		})
		if err != nil {
			return examined{}, fmt.Errorf("%s: %w", use, err)
		}
		out.checked = append(out.checked, checked)
		out.attempt.Intents = append(out.attempt.Intents, card.Intent{
			Issuer: checked.Issuer(), Serial: checked.Serial(), Order: d.Order.ID, Use: use, Profile: checked.Ref(),
			Key: checked.Key(), NotBefore: checked.NotBefore(), NotAfter: checked.NotAfter(), TBS: checked.TBS(),
		})
	}
	return out, nil
}
