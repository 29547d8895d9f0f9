package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"cpsca/audit"
	"cpsca/store"

	"github.com/spf13/cobra"
)

func (s *session) journalCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "journal",
		Short: say("Verify the journal of decisions", "Vérifie le journal des décisions"),
	}
	var head string
	verify := &cobra.Command{
		Use:   "verify",
		Short: say("Walk the whole journal and recompute every row from it", "Parcourt tout le journal et recalcule chaque ligne d'après lui"),
		Long: say(`Walks the journal from its first event: the hash chain, every leaf, and then every row of
orders, cards, intents, certificates, revocations, reports, enrolments, feed and lists,
recomputed from the last leaf that names it. It reads the ledger where it is, also while
the authority runs.

The journal's end is printed as SEQUENCE:HASH. Keep it elsewhere and give it back with
--head: a journal that was cut off, or written anew, does not lead to it.`,
			`Parcourt le journal depuis son premier événement : la chaîne de hachage, chaque feuille,
puis chaque ligne de commandes, cartes, intentions, certificats, révocations, déclarations,
habilitations, flux et listes, recalculée d'après la dernière feuille qui la nomme. Le
grand livre est lu sur place, aussi pendant que l'autorité fonctionne.

La fin du journal s'affiche sous la forme SEQUENCE:HASH. Conservez-la ailleurs et rendez-la
avec --head : un journal tronqué, ou réécrit, n'y mène pas.`),
		Example: "  cpsca journal verify\n  cpsca journal verify --head 4711:9f86d081884c7d65…",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return s.verifyJournal(c.Context(), head) },
	}
	verify.Flags().StringVar(&head, "head", "", say("SEQUENCE:HASH kept from an earlier verification", "SEQUENCE:HASH conservé d'une vérification antérieure"))
	c.AddCommand(verify)
	return c
}

func (s *session) verifyJournal(ctx context.Context, head string) error {
	known, err := parseHead(head)
	if err != nil {
		return err
	}
	settings, err := s.settings()
	if err != nil {
		return err
	}
	if settings.Ledger == "" {
		return errors.New(say("the configuration names no ledger", "la configuration ne nomme aucun grand livre"))
	}
	db, err := store.OpenReadOnly(store.At(settings.Ledger))
	if err != nil {
		return err
	}
	defer db.Close()
	err = db.VerifySchema(ctx)
	if err != nil {
		return err
	}
	bar, finish := func(int64) {}, func() {}
	report, err := db.VerifyJournal(ctx, func(done, all int64) {
		if done == 1 {
			bar, finish = s.progress(say("events", "événements"), all, false)
		}
		bar(done)
	})
	finish()
	if err == nil && known.Sequence > 0 {
		err = reaches(ctx, db, known)
	}
	if err != nil {
		return err
	}
	return s.print(report, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, say("the journal is whole: %d events, %d leaves (%d erased), %d rows agree\nhead %d:%s\n", "le journal est entier : %d événements, %d feuilles (%d effacées), %d lignes concordent\nfin %d:%s\n"),
			report.Head.Sequence, report.Leaves, report.Erased, report.Rows, report.Head.Sequence, report.Head.Hash)
		return err
	})
}

// reaches holds the verified journal against a head that was kept elsewhere.
func reaches(ctx context.Context, db *store.DB, known audit.Head) error {
	h, err := db.JournalHead(ctx, known.Sequence)
	if err == nil && h != known {
		err = fmt.Errorf("%w: event %d is another one", audit.ErrHead, known.Sequence)
	}
	return err
}

func parseHead(text string) (audit.Head, error) {
	if text == "" {
		return audit.Head{}, nil
	}
	sequence, hash, found := strings.Cut(text, ":")
	number, err := strconv.ParseInt(sequence, 10, 64)
	h := audit.Head{Sequence: number}
	if err == nil && found {
		err = h.Hash.UnmarshalText([]byte(hash))
	}
	if err != nil || !found || number < 1 {
		return audit.Head{}, usageError{fmt.Errorf(say("--head wants SEQUENCE:HASH, got %s", "--head attend SEQUENCE:HASH, pas %s"), text)}
	}
	return h, nil
}
