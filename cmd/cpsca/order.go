package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"cpsca/card"
	"cpsca/client"
	"cpsca/officer"
	"cpsca/registry"

	"github.com/spf13/cobra"
)

func (s *session) orderCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "order",
		Short: say("Order cards and list orders", "Commande des cartes et liste les commandes"),
	}
	c.AddCommand(s.orderCreateCommand(), s.orderListCommand(), s.orderCancelCommand())
	return c
}

func (s *session) orderCreateCommand() *cobra.Command {
	var profession int
	var why, bureau, file string
	c := &cobra.Command{
		Use:   "create [NUMBER…]",
		Short: say("Order a card for each number of the register", "Commande une carte pour chaque numéro du registre"),
		Long: say(`Orders one card for each RPPS number. The register says who is entitled; identity
and address come from it and never from here. Refused numbers are reported and the
others go on; the exit code is then 4.`,
			`Commande une carte pour chaque numéro RPPS. Le registre dit qui y a droit ; identité
et adresse viennent de lui et jamais d'ici. Les numéros refusés sont signalés et les
autres poursuivis ; le code de sortie est alors 4.`),
		Example: "  cpsca order create 99700735741\n  cpsca order create --file numbers.txt\n  cpsca order create 99700735741 --why renewal",
		RunE: func(c *cobra.Command, args []string) error {
			numbers, err := s.numbers(args, file)
			if err != nil {
				return err
			}
			return s.order(c, numbers, client.OrderRequest{Profession: registry.ProfessionCode(profession), Why: card.Why(why), Bureau: bureau})
		},
	}
	flags := c.Flags()
	flags.IntVar(&profession, "profession", 0, say("profession code (G15), for holders of several", "code de profession (G15), pour qui en exerce plusieurs"))
	flags.StringVar(&why, "why", "first", say("first, renewal or replacement", "first, renewal ou replacement"))
	choices(c, "why", "first", "renewal", "replacement")
	flags.StringVar(&bureau, "bureau", "", say("personalisation bureau, if not the usual one", "bureau de personnalisation, si ce n'est pas l'habituel"))
	flags.StringVar(&file, "file", "", say("file with one number per line, - for standard input", "fichier d'un numéro par ligne, - pour l'entrée standard"))
	return c
}

// numbers gathers the numbers of the command line and of a file.
func (s *session) numbers(args []string, path string) ([]string, error) {
	if path == "" {
		if len(args) == 0 {
			return nil, usageError{errors.New(say("give at least one number, or --file", "donnez au moins un numéro, ou --file"))}
		}
		return args, nil
	}
	in := s.in
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		text := strings.TrimSpace(lines.Text())
		if text != "" && !strings.HasPrefix(text, "#") {
			args = append(args, text)
		}
	}
	return args, lines.Err()
}

// refused is one number that no order was opened for.
type refused struct {
	Holder  string          `json:"holder"`
	Problem *client.Problem `json:"problem,omitempty"`
	Error   string          `json:"error,omitempty"`
}

// ordered is what became of a list of numbers.
type ordered struct {
	Orders  []card.Order `json:"orders"`
	Refused []refused    `json:"refused,omitempty"`
}

func (s *session) order(c *cobra.Command, numbers []string, r client.OrderRequest) error {
	authority, err := s.connect(officer.Desk, officer.SecurityOfficer)
	if err != nil {
		return err
	}
	defer authority.Close()
	out, failed := s.orderAll(c.Context(), authority, numbers, r)
	// What was ordered is shown also if the authority went away in between.
	err = s.print(out, func(w io.Writer) error { return writeOrdered(w, out) })
	switch {
	case failed != nil:
		return failed
	case err == nil && len(out.Refused) > 0:
		return errPartial
	}
	return err
}

func (s *session) orderAll(ctx context.Context, authority *client.Client, numbers []string, r client.OrderRequest) (ordered, error) {
	out := ordered{Orders: []card.Order{}}
	set, finish := s.progress(say("orders", "commandes"), int64(len(numbers)), false)
	defer finish()
	for i, text := range numbers {
		set(int64(i))
		holder, err := nationalID(text)
		if err != nil {
			out.Refused = append(out.Refused, refused{Holder: text, Error: err.Error()})
			continue
		}
		r.Holder = holder
		o, err := authority.Order(ctx, r)
		var problem *client.Problem
		switch {
		case err == nil:
			out.Orders = append(out.Orders, o)
		case errors.As(err, &problem) && problem.Status < 500:
			out.Refused = append(out.Refused, refused{Holder: text, Problem: problem})
		default:
			return out, err
		}
	}
	return out, nil
}

func writeOrdered(w io.Writer, out ordered) error {
	for _, o := range out.Orders {
		_, err := fmt.Fprintf(w, "%s  %s\n", o.ID, o.Holder)
		if err != nil {
			return err
		}
	}
	for _, x := range out.Refused {
		reason := x.Error
		if x.Problem != nil {
			reason = explain(x.Problem)
		}
		_, err := fmt.Fprintf(w, say("refused  %s: %s\n", "refusé  %s : %s\n"), x.Holder, reason)
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *session) orderListCommand() *cobra.Command {
	var ready bool
	var bureau, state string
	c := &cobra.Command{
		Use:   "list",
		Short: say("List orders; with --ready, the bureau's work", "Liste les commandes ; avec --ready, le travail du bureau"),
		Long: say(`Lists orders, oldest first. With --ready the bureau gets its own open orders that miss
nothing, one JSON object per line, with what is printed and posted and the challenges
that its certification requests must carry.`,
			`Liste les commandes, les plus anciennes d'abord. Avec --ready le bureau reçoit ses
commandes ouvertes auxquelles rien ne manque, un objet JSON par ligne, avec ce qui est
imprimé et posté et les défis que ses demandes de certificat doivent porter.`),
		Example: "  cpsca order list --state open\n  cpsca order list --ready > orders.ndjson",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if ready {
				return s.readyOrders(c)
			}
			return s.orders(c, client.OrderQuery{Bureau: bureau, State: card.OrderState(state), Limit: 1000})
		},
	}
	flags := c.Flags()
	flags.BoolVar(&ready, "ready", false, say("what the bureau can personalise now, as NDJSON", "ce que le bureau peut personnaliser, en NDJSON"))
	flags.StringVar(&bureau, "bureau", "", say("only this bureau's", "seulement celles de ce bureau"))
	flags.StringVar(&state, "state", "", say("open, fulfilled or closed", "open, fulfilled ou closed"))
	choices(c, "state", "open", "fulfilled", "closed")
	return c
}

func (s *session) readyOrders(c *cobra.Command) error {
	authority, err := s.connect(officer.Bureau)
	if err != nil {
		return err
	}
	defer authority.Close()
	lines := json.NewEncoder(s.out)
	lines.SetEscapeHTML(false)
	for o, err := range authority.ReadyOrders(c.Context(), "", 0) {
		if err != nil {
			return err
		}
		err = lines.Encode(o)
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *session) orders(c *cobra.Command, query client.OrderQuery) error {
	authority, err := s.connect(officer.Desk, officer.SecurityOfficer, officer.Auditor, officer.Bureau)
	if err != nil {
		return err
	}
	defer authority.Close()
	all := []client.Order{}
	for {
		page, err := authority.Orders(c.Context(), query)
		if err != nil {
			return err
		}
		all = append(all, page.Orders...)
		if page.Next == "" {
			break
		}
		query.After = page.Next
	}
	return s.print(all, func(w io.Writer) error {
		t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
		fmt.Fprintln(t, say("ORDER\tHOLDER\tWHY\tORDER IS\tCARD\tCARD IS\tMISSING", "COMMANDE\tPORTEUR\tMOTIF\tÉTAT\tCARTE\tSON ÉTAT\tMANQUE"))
		for _, o := range all {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", o.ID, o.Holder, o.Why, o.State, orDash(string(o.Card)), o.CardState, o.Missing)
		}
		return t.Flush()
	})
}
