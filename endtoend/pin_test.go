package endtoend_test

import (
	"os"
	"strings"
	"testing"
)

// oneSentence fails the test unless a program ended with exit code 1 and one
// line that says what it should, and not the PIN.
func oneSentence(t *testing.T, a answer, says, pin string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(a.stderr), "\n")
	if a.code != 1 || len(lines) != 1 || !strings.Contains(a.stderr, says) {
		t.Errorf("exit code %d, want 1 and one line that says %q:\n%s", a.code, says, a.stderr)
	}
	if pin != "" && strings.Contains(a.stderr, pin) {
		t.Error("the line tells the PIN")
	}
}

func TestAWrongPINIsTriedOnceAndSaidInOneSentence(t *testing.T) {
	for _, one := range []struct{ program, configuration, file string }{
		{"cpsca-authority", "authority.yaml", "authority.pin"},
		{"cpsca-status", "status.yaml", "status.pin"},
	} {
		t.Run(one.program, func(t *testing.T) {
			h := newHouse(t)
			right := read(t, h.path(one.file))
			const wrong = "424242424242424242424242"
			write(t, h.path(one.file), wrong+"\n")
			before, _ := h.witnessed(t)
			a := h.run(t, one.program, "--config", h.path(one.configuration))
			oneSentence(t, a, "the PIN is not tried again", wrong)
			after, _ := h.witnessed(t)
			if after-before != 1 {
				t.Errorf("the token was asked to log in %d times, want once", after-before)
			}
			t.Run("a PIN file that others may read is refused and not tried", func(t *testing.T) {
				write(t, h.path(one.file), right)
				err := os.Chmod(h.path(one.file), 0o644)
				if err != nil {
					t.Fatal(err)
				}
				a := h.run(t, one.program, "--config", h.path(one.configuration))
				oneSentence(t, a, "0644", strings.TrimSpace(right))
				now, _ := h.witnessed(t)
				if now != after {
					t.Error("the token was asked to log in")
				}
			})
			t.Run("a PIN file that is missing is named", func(t *testing.T) {
				err := os.Rename(h.path(one.file), h.path("kept.pin"))
				if err != nil {
					t.Fatal(err)
				}
				oneSentence(t, h.run(t, one.program, "--config", h.path(one.configuration)), one.file, "")
				err = os.Rename(h.path("kept.pin"), h.path(one.file))
				if err != nil {
					t.Fatal(err)
				}
			})
			err := os.Chmod(h.path(one.file), 0o600)
			if err != nil {
				t.Fatal(err)
			}
			h.startAuthority(t) // the right PIN still works: nothing is locked
			h.startStatus(t)
		})
	}
}
