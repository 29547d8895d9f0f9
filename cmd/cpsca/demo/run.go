package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"cpsca/card"
	"cpsca/registry"
)

// runHouse founds or takes up a house, fills it, and runs it until the context
// ends.
func runHouse(ctx context.Context, folder, preset string, cards int, out, progress io.Writer) (err error) {
	if preset != "igc-sante" && preset != "elliptic" {
		return fmt.Errorf(say("no such preset: %s", "modèle inconnu : %s"), preset)
	}
	folder, err = filepath.Abs(folder)
	if err != nil {
		return fmt.Errorf("finding the folder: %w", err)
	}
	h := &house{folder: folder, preset: preset}
	step := func(english, french string) { fmt.Fprintln(progress, "…", say(english, french)) }
	err = h.takeUp(ctx, step)
	if err != nil {
		return err
	}
	step("starting authority and status service", "lancement de l'autorité et du service de statut")
	defer func() { err = errors.Join(err, h.stop()) }()
	err = h.start(ctx)
	if err != nil {
		return err
	}
	err = h.fill(ctx, cards, step)
	if err == nil {
		err = h.whatNext(ctx, out)
	}
	if ctx.Err() != nil {
		fmt.Fprintln(progress, say("stopped; the same command takes it up again", "arrêté ; la même commande reprend"))
		return nil
	}
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		fmt.Fprintln(progress, say("stopping", "arrêt"))
		return nil
	case <-h.ended():
		return errors.New(say("a service ended by itself", "un service s'est arrêté de lui-même"))
	}
}

// takeUp finds the house that is in the folder, or founds one: at the addresses
// that the documentation names, or at free ones if those are taken.
func (h *house) takeUp(ctx context.Context, step func(english, french string)) (err error) {
	if h.founded() {
		h.addresses, err = h.knownAddresses()
		return err
	}
	h.addresses = usualAddresses
	taken, busy := h.addresses.busy()
	if busy {
		step(taken+" is taken: this house will listen elsewhere", taken+" est pris : cette autorité écoutera ailleurs")
		h.addresses, err = freeAddresses()
		if err != nil {
			return err
		}
	}
	step("founding the house in "+h.folder, "fondation de l'autorité dans "+h.folder)
	return h.found(ctx)
}

// fill imports the register and personalises cards, unless that was done.
func (h *house) fill(ctx context.Context, cards int, step func(english, french string)) error {
	marker := filepath.Join(h.folder, "filled")
	_, err := os.Stat(marker)
	if err == nil {
		return nil
	}
	people := population(cards)
	step("importing a fictitious register", "import d'un registre fictif")
	err = h.writeRegister(people)
	if err != nil {
		return err
	}
	_, err = h.importRegister(ctx)
	if err != nil {
		return err
	}
	step("ordering cards", "commande des cartes")
	numbers := filepath.Join(h.folder, "register", "ordered.txt")
	file, err := os.Create(numbers)
	if err != nil {
		return err
	}
	left := cards
	for _, one := range people.Eligible() {
		// Holders of several professions would have to say which.
		if left > 0 && one.Ready() == nil && len(one.Professions()) == 1 && len(one.Person.Practices) > 0 {
			fmt.Fprintln(file, one.Person.ID)
			left--
		}
	}
	err = file.Close()
	if err != nil {
		return err
	}
	_, err = h.cpsca(ctx, nil, "order", "create", "--file", numbers)
	var r *refusal
	if errors.As(err, &r) && r.code == partial {
		err = nil // ordered in a run that was interrupted
	}
	if err != nil {
		return err
	}
	step("personalising: real keys, real certificates", "personnalisation : vraies clés, vrais certificats")
	_, err = h.makeCards(ctx, "first")
	if err != nil {
		return err
	}
	return os.WriteFile(marker, nil, 0o600)
}

// partial is the exit code of cpsca when part of a batch was refused.
const partial = 4

// whatNext prints lines that a reader can paste.
func (h *house) whatNext(ctx context.Context, out io.Writer) error {
	var made map[card.OrderID]card.Number
	made, err := applied(filepath.Join(h.folder, "bureau", "first.ndjson"))
	if err != nil {
		return err
	}
	var example card.Card
	for _, number := range made {
		_, err = h.cpsca(ctx, &example, "card", "show", string(number))
		if err != nil {
			return err
		}
		if example.State == card.Personalised {
			break
		}
	}
	rpps, ok := example.Holder.RPPS()
	if !ok {
		rpps = registry.RPPS(example.Holder)
	}
	folder := h.folder
	working, err := os.Getwd()
	if err == nil {
		relative, err := filepath.Rel(working, folder)
		if err == nil {
			folder = relative
		}
	}
	_, err = fmt.Fprintf(out, say(tryNext, tryNextFrench), len(made), folder, example.Number, rpps, h.addresses.status, h.addresses.authority)
	return err
}

const tryNext = `
The authority serves https://%[6]s, status is at http://%[5]s; %[1]d cards are personalised.
In another terminal:

  # the life of a card
  export CPSCA_CONFIG=%[2]s/cpsca.yaml PATH="$PWD/bin:$PATH"
  cpsca card show %[4]s
  cpsca card activate %[3]s
  cpsca loss report %[3]s --circumstance stolen
  cpsca card history %[3]s
  cpsca order list --state open

  # what the world sees (run it before and after the loss)
  openssl x509 -in %[2]s/cards/%[3]s/authentication.pem -noout -text
  openssl verify -x509_strict -CAfile %[2]s/issuers/root.pem -untrusted %[2]s/issuers/cards.pem %[2]s/cards/%[3]s/*.pem
  openssl ocsp -issuer %[2]s/issuers/cards.pem -cert %[2]s/cards/%[3]s/authentication.pem -url http://%[5]s/ocsp -CAfile %[2]s/issuers/root.pem
  curl -s http://%[5]s/crl/cards.crl | openssl crl -inform DER -noout -text
  cpsca cert check %[2]s/cards/%[3]s/signature.pem

  # what auditors do
  cpsca journal verify
  cpsca doctor

Ctrl-C stops everything; make run takes it up again.
`

const tryNextFrench = `
L'autorité sert https://%[6]s, le statut est sur http://%[5]s ; %[1]d cartes sont personnalisées.
Dans un autre terminal :

  # la vie d'une carte
  export CPSCA_CONFIG=%[2]s/cpsca.yaml PATH="$PWD/bin:$PATH"
  cpsca card show %[4]s
  cpsca card activate %[3]s
  cpsca loss report %[3]s --circumstance stolen
  cpsca card history %[3]s
  cpsca order list --state open

  # ce que voit le monde (avant et après la perte)
  openssl x509 -in %[2]s/cards/%[3]s/authentication.pem -noout -text
  openssl verify -x509_strict -CAfile %[2]s/issuers/root.pem -untrusted %[2]s/issuers/cards.pem %[2]s/cards/%[3]s/*.pem
  openssl ocsp -issuer %[2]s/issuers/cards.pem -cert %[2]s/cards/%[3]s/authentication.pem -url http://%[5]s/ocsp -CAfile %[2]s/issuers/root.pem
  curl -s http://%[5]s/crl/cards.crl | openssl crl -inform DER -noout -text
  cpsca cert check %[2]s/cards/%[3]s/signature.pem

  # ce que font les auditeurs
  cpsca journal verify
  cpsca doctor

Ctrl-C arrête tout ; make run reprend.
`
