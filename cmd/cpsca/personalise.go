package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"cpsca/card"
	"cpsca/client"
	"cpsca/officer"

	"github.com/spf13/cobra"
)

func (s *session) personaliseCommand() *cobra.Command {
	var answers, certificates string
	var patience time.Duration
	c := &cobra.Command{
		Use:   "personalise FILE",
		Short: say("Send a batch of applications and write the certificates back", "Envoie un lot de demandes et écrit les certificats"),
		Long: say(`Sends a file of applications, one JSON object per line:

  {"order": "…", "card": "2800636234",
   "authentication": {"csr": "<PEM or base64 DER>"}, "signature": {"csr": "…"}}

In place of a csr there may be a public key with a detached proof of possession:
{"public_key": "<base64 DER>", "proof": "<base64>"}; docs/BUREAU.md says how both are made.

Each line is answered by one line of the answers file, in the same order; refused lines
are answered with their problem and the others go on (exit code 4). Run again, it sends
only what is not answered by certificates yet, and adds the new answers behind the
old: nothing is lost by an interruption, and nothing is issued twice.

While the authority is busy, restarted, or without its HSM, lines are sent again by
themselves; --patience bounds how long nothing may come through. Their answers stand
behind those of the other lines.`,
			`Envoie un fichier de demandes, un objet JSON par ligne :

  {"order": "…", "card": "2800636234",
   "authentication": {"csr": "<PEM ou DER en base64>"}, "signature": {"csr": "…"}}

À la place d'un csr, une clé publique avec une preuve de possession détachée convient :
{"public_key": "<DER en base64>", "proof": "<base64>"} ; docs/BUREAU.md dit comment faire.

Chaque ligne reçoit une ligne du fichier de réponses, dans le même ordre ; les lignes
refusées reçoivent leur problème et les autres poursuivent (code 4). Relancée, la commande
n'envoie que ce qui n'a pas encore de certificats : une interruption ne perd rien, et rien
n'est émis deux fois.

Quand l'autorité est occupée, relancée ou privée de son HSM, les lignes sont renvoyées
d'elles-mêmes ; --patience borne le temps sans résultat. Leurs réponses se trouvent
après celles des autres lignes.`),
		Example: "  cpsca personalise applications.ndjson --answers answers.ndjson --certificates cards/",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if answers == "" {
				answers = args[0] + ".answers"
			}
			return s.personalise(c, args[0], answers, certificates, patience)
		},
	}
	c.Flags().StringVar(&answers, "answers", "", say("file for the answers (default FILE.answers)", "fichier des réponses (FILE.answers par défaut)"))
	c.Flags().StringVar(&certificates, "certificates", "", say("folder for CARD/USE.pem", "dossier pour CARTE/USAGE.pem"))
	c.Flags().DurationVar(&patience, "patience", 10*time.Minute, say("how long to go on while nothing comes through", "durée pendant laquelle persister sans résultat"))
	return c
}

// batch is one file of applications on its way.
type batch struct {
	err          io.Writer                    // for refusals
	answered     map[card.OrderID]card.Number // by certificates, in an earlier run
	out          *json.Encoder
	certificates string
	mu           sync.Mutex // guards sent and settled while lines are fed
	sent         []int      // line numbers in the file, of the lines of this round
	result       batchResult

	rounds   int
	settled  map[int]bool          // lines that need not be sent again
	deferred map[int]client.Answer // refused for now, by line
}

type batchResult struct {
	Issued  int    `json:"issued"`
	Refused int    `json:"refused"`
	Before  int    `json:"issued_before"` // in earlier runs
	Answers string `json:"answers"`
}

// stopped is a batch that did not come to its end.
type stopped struct {
	answers int
	err     error
}

func (e stopped) Error() string {
	return fmt.Sprintf(say("%s\nstopped after %d answers; run the same command again to resume", "%s\narrêt après %d réponses ; relancez la même commande pour reprendre"),
		explain(e.err), e.answers)
}

func (e stopped) Unwrap() error { return e.err }

func (s *session) personalise(c *cobra.Command, path, answers, certificates string, patience time.Duration) error {
	authority, err := s.connect(officer.Bureau)
	if err != nil {
		return err
	}
	defer authority.Close()
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	b := &batch{certificates: certificates, err: s.err, result: batchResult{Answers: answers}, settled: make(map[int]bool)}
	var out *os.File
	out, b.answered, err = openAnswers(answers)
	if err != nil {
		return err
	}
	defer out.Close()
	b.out = json.NewEncoder(out)
	set, finish := s.progress(say("applications", "demandes"), info.Size(), true)
	err = b.insist(c.Context(), patience, func() error { return b.round(c.Context(), authority, in, set) })
	finish()
	err = errors.Join(err, out.Sync())
	if err != nil {
		return stopped{b.result.Issued + b.result.Refused, err}
	}
	err = s.print(b.result, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, say("%d issued, %d refused, %d issued before; answers in %s\n", "%d émises, %d refusées, %d émises auparavant ; réponses dans %s\n"),
			b.result.Issued, b.result.Refused, b.result.Before, answers)
		return err
	})
	if err == nil && b.result.Refused > 0 {
		return errPartial
	}
	return err
}

// feed copies the lines that are not answered yet, whatever they hold: the
// authority says what is wrong with a line. Lines longer than the buffer are
// copied in pieces.
//
// Lines travel together while there are more of them to read at once, and are
// held back for none: who writes a line into a pipe gets its answer.
func (b *batch) feed(in io.Reader, to io.Writer, progress func(int64)) error {
	lines := bufio.NewReaderSize(in, 128<<10)
	out := bufio.NewWriterSize(to, 32<<10)
	read := int64(0)
	for number := 1; ; number++ {
		ready, _ := lines.Peek(lines.Buffered())
		if !bytes.Contains(ready, []byte("\n")) {
			failed := out.Flush()
			if failed != nil {
				return failed
			}
		}
		line, err := lines.ReadSlice('\n')
		if len(line) == 0 && errors.Is(err, io.EOF) {
			return nil
		}
		read += int64(len(line))
		whole := err == nil || errors.Is(err, io.EOF)
		if b.done(number) || whole && b.skip(number, line) {
			for errors.Is(err, bufio.ErrBufferFull) {
				line, err = lines.ReadSlice('\n')
				read += int64(len(line))
			}
			progress(read)
			continue
		}
		b.mu.Lock()
		b.sent = append(b.sent, number)
		b.mu.Unlock()
		for {
			_, failed := out.Write(line)
			if failed != nil {
				return failed
			}
			if !errors.Is(err, bufio.ErrBufferFull) {
				break
			}
			line, err = lines.ReadSlice('\n')
			read += int64(len(line))
		}
		progress(read)
		if errors.Is(err, io.EOF) {
			return out.Flush()
		}
		if err != nil {
			return err
		}
	}
}

// done says whether a line is settled; settle makes it so. Lines are read while
// answers come.
func (b *batch) done(number int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.settled[number]
}

func (b *batch) settle(number int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settled[number] = true
}

func (b *batch) skip(number int, line []byte) bool {
	if b.rounds > 1 || len(b.answered) == 0 {
		return false // the first round has settled them
	}
	var a client.Application
	if json.Unmarshal(line, &a) != nil || a.Card == "" || b.answered[a.Order] != a.Card {
		return false // a line for another card must hear that it is refused
	}
	b.result.Before++
	b.settle(number)
	return true
}

// take writes one answer, under the number of its line in the file.
func (b *batch) take(a client.Answer) error {
	b.mu.Lock()
	if a.Line >= 1 && a.Line <= len(b.sent) {
		a.Line = b.sent[a.Line-1]
	}
	b.mu.Unlock()
	if a.Problem != nil {
		a.Problem.Line = a.Line
	}
	if passing(a.Problem) {
		b.deferred[a.Line] = a
		return nil
	}
	delete(b.deferred, a.Line)
	b.settle(a.Line)
	return b.write(a)
}

// write writes the last word on a line.
func (b *batch) write(a client.Answer) error {
	if a.Status == client.Issued {
		err := b.save(a)
		if err != nil {
			return err
		}
	}
	err := b.out.Encode(a)
	switch {
	case err != nil:
		return err
	case a.Status == client.Issued:
		b.result.Issued++
	default:
		b.result.Refused++
		b.explain(a)
	}
	return nil
}

// shownRefusals is how many refused lines are explained to people; the answers
// file has them all.
const shownRefusals = 5

func (b *batch) explain(a client.Answer) {
	if a.Problem != nil && b.result.Refused <= shownRefusals {
		fmt.Fprintf(b.err, say("line %d: %s\n", "ligne %d : %s\n"), a.Line, explain(a.Problem))
	}
}

// save writes the certificates of an answer into the folder of its card.
func (b *batch) save(a client.Answer) error {
	if b.certificates == "" {
		return nil
	}
	number, err := card.ParseNumber(string(a.Card)) // it becomes the name of a folder
	if err != nil {
		return fmt.Errorf("%w: %w", client.ErrAnswer, err)
	}
	folder := filepath.Join(b.certificates, string(number))
	err = os.MkdirAll(folder, 0o755)
	if err != nil {
		return err
	}
	for _, one := range a.Certificates {
		if !slices.Contains(card.Uses[:], one.Use) {
			return fmt.Errorf("%w: a certificate for %q", client.ErrAnswer, one.Use)
		}
		text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: one.Certificate})
		err = os.WriteFile(filepath.Join(folder, string(one.Use)+".pem"), text, 0o644)
		if err != nil {
			return err
		}
	}
	return nil
}
