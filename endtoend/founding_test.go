package endtoend_test

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestALedgerThatIsMissingIsSaidAndNotMade(t *testing.T) {
	h := newHouse(t)
	h.edit(t, "authority.yaml", "ledger: ledger.db", "ledger: elsewhere.db")
	h.edit(t, "cpsca.yaml", "ledger: ledger.db", "ledger: elsewhere.db")
	oneSentence(t, h.run(t, "cpsca-authority", "--config", h.path("authority.yaml")), "elsewhere.db", "")
	oneSentence(t, h.cpsca(t, "journal", "verify"), "elsewhere.db", "")
	_, err := os.Stat(h.path("elsewhere.db"))
	if !os.IsNotExist(err) {
		t.Errorf("the missing ledger was made: %v", err)
	}
}

// content is every file of a folder with its hash.
func content(t *testing.T, folder string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		fmt.Fprintf(&b, "%s %x\n", path, sha256.Sum256([]byte(read(t, path))))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestAFolderThatExistsIsNoPlaceForAHouse(t *testing.T) {
	h := newHouse(t)
	before := content(t, h.folder)
	a := h.cpsca(t, h.initArguments()...)
	oneSentence(t, a, "exists already", "")
	if content(t, h.folder) != before {
		t.Error("the refused founding changed the house")
	}
	empty := newGround(t)
	err := os.Mkdir(empty.folder, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	oneSentence(t, empty.cpsca(t, empty.initArguments()...), "exists already", "")
	left, err := os.ReadDir(empty.folder)
	if err != nil || len(left) > 0 {
		t.Errorf("the refused founding left %v in an empty folder: %v", left, err)
	}
}

// A founding that is killed cannot clean up: it leaves a folder. Because the
// configurations are written last, nothing starts in it, and because it exists,
// no second founding takes it for a place of its own; whoever moves it aside
// founds anew.
func TestAKilledFoundingLeavesNothingThatStartsOrIsTakenForAPlace(t *testing.T) {
	whole := took(t)
	for part := range 5 {
		h := newGround(t)
		c := h.command("cpsca", h.initArguments()...)
		err := c.Start()
		if err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(whole*time.Duration(part+1)/6, func() { _ = c.Process.Kill() })
		_ = c.Wait() // killed
		timer.Stop()
		_, err = os.Stat(h.folder)
		if os.IsNotExist(err) {
			h.must(t, h.initArguments()...) // killed before it began
			continue
		}
		if c.ProcessState.Success() {
			t.Logf("the founding was quicker than its end, part %d", part)
			continue
		}
		h.halfFounded(t)
	}
}

// took is how long a founding takes here and now.
func took(t *testing.T) time.Duration {
	h := newGround(t)
	began := time.Now()
	h.must(t, h.initArguments()...)
	return time.Since(began)
}

// halfFounded checks what a killed founding left.
func (h *house) halfFounded(t *testing.T) {
	t.Helper()
	oneSentence(t, h.cpsca(t, h.initArguments()...), "exists already", "")
	for program, file := range map[string]string{"cpsca-authority": "authority.yaml", "cpsca-status": "status.yaml"} {
		_, err := os.Stat(h.path(file))
		if err == nil {
			continue // its last step was under way
		}
		oneSentence(t, h.run(t, program, "--config", h.path(file)), file, "")
	}
	// A child that makes the status node's token may be ending still.
	until(t, 10*time.Second, "the remains can be moved aside", func() bool { return os.Rename(h.folder, h.folder+"-aside") == nil })
	h.must(t, h.initArguments()...)
	h.startAuthority(t)
	h.verifyJournal(t)
}

func TestAFoundingThatIsStoppedTakesItsFolderAway(t *testing.T) {
	h := newGround(t)
	c := h.command("cpsca", h.initArguments()...)
	err := c.Start()
	if err != nil {
		t.Fatal(err)
	}
	until(t, 20*time.Second, "the founding begins", func() bool {
		_, err := os.Stat(h.folder)
		return err == nil
	})
	err = c.Process.Signal(syscall.SIGTERM)
	if err != nil {
		t.Fatal(err)
	}
	err = c.Wait()
	if err == nil {
		t.Error("the founding went on after the signal")
	}
	_, err = os.Stat(h.folder)
	if !os.IsNotExist(err) {
		t.Errorf("the founding ended by a signal left its folder: %v", err)
	}
	h.must(t, h.initArguments()...)
}
