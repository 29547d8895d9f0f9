package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"cpsca/card"
	"cpsca/client"
	"cpsca/registry"
)

// storyCards is how many people get a card at the beginning of a story.
const storyCards = 6

// errVerdicts: a judge said something else than expected.
var errVerdicts = errors.New(say("a verdict is not the expected one", "un verdict n'est pas celui attendu"))

// tellStories tells the story of both presets and writes the report.
func tellStories(ctx context.Context, folder string, out io.Writer) error {
	err := moveAside(folder, out)
	if err != nil {
		return err
	}
	err = os.MkdirAll(folder, 0o755)
	if err != nil {
		return err
	}
	r := &report{out: out, began: time.Now()}
	var failed error
	for _, one := range []struct{ preset, folder string }{{"igc-sante", folder}, {"elliptic", filepath.Join(folder, "elliptic")}} {
		failed = tell(ctx, one.preset, one.folder, r)
		if failed != nil {
			failed = fmt.Errorf("%s: %w", one.preset, failed)
			r.note(say("The story stopped: ", "L'histoire s'est arrêtée : ") + failed.Error())
			break
		}
	}
	err = r.write(filepath.Join(folder, "report.md"))
	err = errors.Join(failed, err)
	if err == nil && r.wrong > 0 {
		return fmt.Errorf("%w: %d (%s)", errVerdicts, r.wrong, filepath.Join(folder, "report.md"))
	}
	return err
}

// moveAside keeps what an earlier story left.
func moveAside(folder string, out io.Writer) error {
	info, err := os.Stat(folder)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	aside := folder + "-" + info.ModTime().UTC().Format("20060102T150405")
	for n := 2; ; n++ {
		_, err = os.Stat(aside)
		if errors.Is(err, os.ErrNotExist) {
			break
		}
		aside = fmt.Sprintf("%s-%s-%d", folder, info.ModTime().UTC().Format("20060102T150405"), n)
	}
	fmt.Fprintf(out, say("the earlier story is kept in %s\n", "l'histoire précédente est gardée dans %s\n"), aside)
	return os.Rename(folder, aside)
}

// tale is one story: a house and what its people hold.
type tale struct {
	*house
	*judge
	report *report
	people []registry.NationalID
	cards  map[registry.NationalID]card.Number // the newest card of each
	past   []card.Number                       // cards that must not be trusted any more
	live   map[card.Number]bool                // good on OCSP and lists
	kind   string
}

func tell(ctx context.Context, preset, folder string, r *report) (err error) {
	r.chapter(preset)
	err = os.MkdirAll(folder, 0o755)
	if err != nil {
		return err
	}
	a, err := freeAddresses()
	if err != nil {
		return err
	}
	h := &house{folder: filepath.Join(folder, "house"), preset: preset, addresses: a}
	t := &tale{
		house: h, judge: &judge{folder: folder, status: "http://" + a.status}, report: r,
		cards: make(map[registry.NationalID]card.Number), live: make(map[card.Number]bool), kind: preset,
	}
	defer func() { err = errors.Join(err, h.stop()) }()
	for _, scene := range []struct {
		english, french string
		play            func(context.Context) error
	}{
		{"A house is founded, authority and status service start", "Une autorité est fondée, elle et son service de statut démarrent", t.beginning},
		{"The register comes in, wrong lines are named", "Le registre arrive, ses lignes fautives sont nommées", t.register},
		{"Cards are ordered and personalised", "Des cartes sont commandées et personnalisées", t.issue},
		{"Holders activate their cards, all but one", "Les porteurs activent leur carte, sauf un", t.activate},
		{"A second card for the same professional is refused", "Une seconde carte pour le même professionnel est refusée", t.second},
		{"A nurse loses her card", "Une infirmière perd sa carte", t.lose},
		{"A card is renewed, the old one ends with the activation", "Une carte est renouvelée, l'ancienne finit avec l'activation", t.renew},
		{"The same batch, sent again, issues nothing", "Le même lot, renvoyé, n'émet rien", t.again},
		{"The journal is verified", "Le journal est vérifié", t.journal},
	} {
		began := time.Now()
		r.scene(say(scene.english, scene.french))
		err = scene.play(ctx)
		if err != nil {
			return err
		}
		r.took(time.Since(began))
	}
	return nil
}

func (t *tale) beginning(ctx context.Context) error {
	err := t.found(ctx)
	if err == nil {
		err = t.start(ctx)
	}
	if err != nil {
		return err
	}
	for from, to := range map[string]string{"root.pem": "root.pem", "cards.pem": "issuing-cards.pem"} {
		err = copyFile(filepath.Join(t.house.folder, "issuers", from), filepath.Join(t.judge.folder, to))
		if err != nil {
			return err
		}
	}
	t.verdict("openssl verify -x509_strict", "issuing-cards.pem", "OK", t.strict("issuing-cards.pem"))
	return t.lists(ctx)
}

func (t *tale) register(ctx context.Context) error {
	people := population(storyCards)
	err := t.writeRegister(people)
	if err != nil {
		return err
	}
	reports, err := t.importRegister(ctx)
	if err != nil {
		return err
	}
	for _, r := range reports {
		t.report.note(fmt.Sprintf(say("%s: %d lines accepted, %d rejected", "%s : %d lignes acceptées, %d rejetées"), r.File, r.Accepted, r.Rejected))
	}
	wrong := filepath.Join(t.house.folder, "register", "wrong.txt")
	err = os.WriteFile(wrong, []byte("Identification nationale PP|Événement|Date|Source|\n899700735742|RADIATION|2026-01-01|Ordre|\n"), 0o600)
	if err != nil {
		return err
	}
	var r registry.Report
	_, err = t.cpsca(ctx, &r, "registry", "import", client.Events, wrong)
	t.refused(say("a number with a wrong Luhn key", "un numéro à clé de Luhn fausse"), err)
	if len(r.Errors) == 1 {
		t.report.note("`" + r.Errors[0].Error() + "`")
	}
	for _, one := range people.Eligible() {
		if one.Ready() == nil && len(one.Professions()) == 1 && len(t.people) < storyCards {
			t.people = append(t.people, one.Person.ID)
		}
	}
	return nil
}

func (t *tale) issue(ctx context.Context) error {
	args := []string{"order", "create"}
	for _, id := range t.people {
		args = append(args, string(id))
	}
	_, err := t.cpsca(ctx, nil, args...)
	if err != nil {
		return err
	}
	_, err = t.cpsca(ctx, nil, "order", "create", "99700735741")
	t.refused(say("a number that is not in the register", "un numéro absent du registre"), err)
	err = t.personalise(ctx, "first")
	if err != nil {
		return err
	}
	for _, number := range t.cards {
		t.live[number] = t.kind == "igc-sante" // with the hold gate nothing is good before its activation
	}
	return t.judgeAll(ctx)
}

// personalise makes the cards of all ready orders and copies their
// certificates to the artefacts.
func (t *tale) personalise(ctx context.Context, batch string) error {
	made, err := t.makeCards(ctx, batch)
	if err != nil {
		return err
	}
	for _, number := range made {
		var c card.Card
		_, err = t.cpsca(ctx, &c, "card", "show", string(number))
		if err != nil {
			return err
		}
		t.cards[c.Holder] = number
		folder := filepath.Join(t.judge.folder, "cards", string(number))
		err = os.MkdirAll(folder, 0o755)
		if err != nil {
			return err
		}
		for _, use := range card.Uses {
			err = copyFile(filepath.Join(t.house.folder, "cards", string(number), string(use)+".pem"), filepath.Join(folder, string(use)+".pem"))
			if err != nil {
				return err
			}
		}
	}
	t.report.note(fmt.Sprintf(say("%d cards personalised", "%d cartes personnalisées"), len(made)))
	return nil
}

func (t *tale) activate(ctx context.Context) error {
	for i, id := range t.people {
		if i == len(t.people)-1 {
			break // this one stays in its envelope
		}
		_, err := t.cpsca(ctx, nil, "card", "activate", string(t.cards[id]))
		if err != nil {
			return err
		}
		t.live[t.cards[id]] = true
	}
	return t.judgeAll(ctx)
}

func (t *tale) second(ctx context.Context) error {
	_, err := t.cpsca(ctx, nil, "order", "create", string(t.people[0]))
	t.refused(say("a second card beside a live one", "une seconde carte à côté d'une carte en service"), err)
	_, err = t.cpsca(ctx, nil, "order", "create", string(t.people[len(t.people)-1]))
	t.refused(say("a second card beside one in the post", "une seconde carte à côté d'une carte en cours d'envoi"), err)
	return nil
}

func (t *tale) lose(ctx context.Context) error {
	holder := t.people[1]
	lost := t.cards[holder]
	t.verdict("openssl ocsp", string(lost), "good", t.ocsp(lost, card.Authentication))
	var answer client.LossAnswer
	_, err := t.cpsca(ctx, &answer, "loss", "report", string(lost), "--circumstance", "stolen")
	if err != nil {
		return err
	}
	reported := time.Now()
	t.live[lost] = false
	t.past = append(t.past, lost)
	err = t.until(ctx, func() bool { return t.ocsp(lost, card.Authentication) == "revoked" })
	if err != nil {
		return fmt.Errorf("waiting for OCSP to say revoked: %w", err)
	}
	t.report.note(fmt.Sprintf(say("visible in OCSP %d ms after the receipt", "visible par OCSP %d ms après le reçu"), time.Since(reported).Milliseconds()))
	if answer.Replacement == nil {
		return errors.New("the loss report opened no replacement")
	}
	err = t.personalise(ctx, "replacement")
	if err != nil {
		return err
	}
	t.live[t.cards[holder]] = t.kind == "igc-sante"
	_, err = t.cpsca(ctx, nil, "card", "activate", string(t.cards[holder]))
	if err != nil {
		return err
	}
	t.live[t.cards[holder]] = true
	_, err = t.cpsca(ctx, nil, "card", "activate", string(lost))
	t.refused(say("activating the lost card", "activer la carte perdue"), err)
	return t.judgeAll(ctx)
}

func (t *tale) renew(ctx context.Context) error {
	holder := t.people[2]
	old := t.cards[holder]
	_, err := t.cpsca(ctx, nil, "order", "create", string(holder), "--why", "renewal")
	if err == nil {
		err = t.personalise(ctx, "renewal")
	}
	if err != nil {
		return err
	}
	t.live[t.cards[holder]] = t.kind == "igc-sante"
	err = t.judgeAll(ctx) // the old card serves until the new one is activated
	if err == nil {
		_, err = t.cpsca(ctx, nil, "card", "activate", string(t.cards[holder]))
	}
	if err != nil {
		return err
	}
	t.live[t.cards[holder]], t.live[old] = true, false
	t.past = append(t.past, old)
	return t.judgeAll(ctx)
}

func (t *tale) again(ctx context.Context) error {
	path := filepath.Join(t.house.folder, "bureau", "first.ndjson")
	answers := path + ".again"
	_, err := t.cpsca(ctx, nil, "personalise", path, "--answers", answers)
	if err != nil {
		return err
	}
	before, err := answersOf(path + ".answers")
	if err != nil {
		return err
	}
	after, err := answersOf(answers)
	if err != nil {
		return err
	}
	same := "the same certificates"
	for order, a := range before {
		if after[order] != a {
			same = "other certificates"
		}
	}
	t.verdict(say("the batch sent again", "le lot renvoyé"), "first.ndjson", "the same certificates", same)
	return nil
}

func (t *tale) journal(ctx context.Context) error {
	var seen struct{ Leaves, Rows int }
	_, err := t.cpsca(ctx, &seen, "journal", "verify")
	if err != nil {
		return err
	}
	t.report.note(fmt.Sprintf(say("%d leaves, %d rows agree", "%d feuilles, %d lignes concordent"), seen.Leaves, seen.Rows))
	return nil
}

// refused notes that an act was refused, and why, or that it was not.
func (t *tale) refused(what string, err error) {
	var r *refusal
	if errors.As(err, &r) {
		t.verdict("cpsca", what, "refused", "refused")
		if r.text != "" {
			t.report.note("`" + r.Error() + "`")
		}
		return
	}
	t.verdict("cpsca", what, "refused", fmt.Sprint("not refused: ", err))
}

func (t *tale) verdict(judge, about, want, got string) { t.report.verdict(judge, about, want, got) }
