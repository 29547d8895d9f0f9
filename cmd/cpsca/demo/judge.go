package demo

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cpsca/card"
	"cpsca/client"
)

// judge asks openssl, a stranger to the house, about artefacts in a folder.
type judge struct {
	folder string
	status string // base URL of the status service
}

func (j *judge) path(elements ...string) string {
	return filepath.Join(append([]string{j.folder}, elements...)...)
}

// openssl runs a command and returns what it printed on both streams.
func (j *judge) openssl(args ...string) (string, error) {
	output, err := exec.Command("openssl", args...).CombinedOutput()
	return string(output), err
}

// strict verifies a certificate without status.
func (j *judge) strict(file string) string {
	return summary(j.openssl("verify", "-x509_strict", "-CAfile", j.path("root.pem"), "-untrusted", j.path("issuing-cards.pem"), j.path(file)))
}

// checked verifies a certificate with the lists of the whole chain.
func (j *judge) checked(file string) string {
	return summary(j.openssl("verify", "-x509_strict", "-crl_check_all", "-CAfile", j.path("root.pem"), "-untrusted", j.path("issuing-cards.pem"),
		"-CRLfile", j.path("crl", "all.pem"), j.path(file)))
}

func summary(output string, err error) string {
	switch {
	case err == nil:
		return "OK"
	case strings.Contains(output, "certificate revoked"):
		return "revoked"
	}
	return strings.TrimSpace(output)
}

// ocsp asks the status service about a certificate.
func (j *judge) ocsp(number card.Number, use card.Use) string {
	output, err := j.openssl("ocsp", "-issuer", j.path("issuing-cards.pem"), "-cert", j.path("cards", string(number), string(use)+".pem"),
		"-url", j.status+"/ocsp", "-CAfile", j.path("root.pem"), "-timeout", "10")
	if err != nil || !strings.Contains(output, "Response verify OK") {
		return strings.TrimSpace(output)
	}
	for _, verdict := range []string{"good", "revoked", "unknown"} {
		if strings.Contains(output, ".pem: "+verdict) {
			return verdict
		}
	}
	return strings.TrimSpace(output)
}

// lists fetches the published lists, has their signatures checked, and joins
// them for the judge of chains.
func (t *tale) lists(ctx context.Context) error {
	err := os.MkdirAll(t.judge.path("crl"), 0o755)
	if err != nil {
		return err
	}
	var all []byte
	for name, issuer := range map[string]string{"root": "root.pem", "cards": "issuing-cards.pem"} {
		der, err := fetch(ctx, t.judge.status+"/crl/"+name+".crl")
		if err != nil {
			return err
		}
		file := t.judge.path("crl", name+".crl")
		err = os.WriteFile(file, der, 0o644)
		if err != nil {
			return err
		}
		all = append(all, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})...)
		output, err := t.openssl("crl", "-inform", "DER", "-in", file, "-CAfile", t.judge.path(issuer), "-noout")
		verdict := strings.TrimSpace(output)
		if err == nil && strings.Contains(output, "verify OK") {
			verdict = "OK"
		}
		t.verdict("openssl crl", name+".crl", "OK", verdict)
	}
	return os.WriteFile(t.judge.path("crl", "all.pem"), all, 0o644)
}

// judgeAll waits until the published list and OCSP tell what was done, and has
// every certificate of every card judged.
func (t *tale) judgeAll(ctx context.Context) error {
	numbers := slices.Sorted(maps.Keys(t.live))
	err := t.until(ctx, func() bool {
		return !slices.ContainsFunc(numbers, func(n card.Number) bool { return t.ocsp(n, card.Signature) != t.expected(n) })
	})
	if err != nil {
		t.report.note(say("OCSP does not tell what was done", "OCSP ne dit pas ce qui a été fait"))
	}
	err = t.until(ctx, func() bool { return t.quietLists(ctx, numbers) })
	if err != nil {
		t.report.note(say("the list does not tell what was done", "la liste ne dit pas ce qui a été fait"))
	}
	err = t.lists(ctx)
	if err != nil {
		return err
	}
	for _, number := range numbers {
		for _, use := range card.Uses {
			file := filepath.Join("cards", string(number), string(use)+".pem")
			listed := "OK"
			if !t.live[number] {
				listed = "revoked"
			}
			t.verdict("openssl verify -x509_strict", file, "OK", t.strict(file))
			t.verdict("openssl verify -crl_check_all", file, listed, t.checked(file))
			t.verdict("openssl ocsp", file, t.expected(number), t.ocsp(number, use))
		}
	}
	return nil
}

func (t *tale) expected(number card.Number) string {
	if t.live[number] {
		return "good"
	}
	return "revoked"
}

// quietLists fetches the lists without a word in the report and says whether
// they already tell what they should.
func (t *tale) quietLists(ctx context.Context, numbers []card.Number) bool {
	var all []byte
	for _, name := range []string{"root", "cards"} {
		der, err := fetch(ctx, t.judge.status+"/crl/"+name+".crl")
		if err != nil {
			return false
		}
		all = append(all, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})...)
	}
	err := os.WriteFile(t.judge.path("crl", "all.pem"), all, 0o644)
	if err != nil {
		return false
	}
	for _, number := range numbers {
		got := t.checked(filepath.Join("cards", string(number), string(card.Signature)+".pem"))
		if (got == "OK") != t.live[number] {
			return false
		}
	}
	return true
}

// visible is how long a change may take to be seen: the list must tell it
// within a minute.
const visible = time.Minute

// until asks again and again, for a minute at most.
func (t *tale) until(ctx context.Context, done func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, visible)
	defer cancel()
	for !done() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil
}

func fetch(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, answer.Status)
	}
	return io.ReadAll(io.LimitReader(answer.Body, 1<<28))
}

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o644)
}

// answersOf reads the certificates of each order from a file of answers.
func answersOf(path string) (map[card.OrderID]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	answers, err := readLines[client.Answer](string(text))
	if err != nil {
		return nil, err
	}
	out := make(map[card.OrderID]string, len(answers))
	for _, a := range answers {
		if a.Status != client.Issued {
			return nil, errors.New("an application was refused")
		}
		for _, c := range a.Certificates {
			out[a.Order] += fmt.Sprintf("%s %x\n", c.Use, c.Certificate)
		}
	}
	return out, nil
}
