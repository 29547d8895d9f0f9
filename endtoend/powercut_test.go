package endtoend_test

import (
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cpsca/endtoend/powercut"
	"cpsca/testpki"
)

const cutsPerHouse = 15

// powered is where a campaign keeps ledger and lists: on a disk whose power is cut.
type powered struct {
	*campaign
	random *rand.Rand // of the cuts, which come at any instant: not the campaign's
	mount  string
	copies string

	mu      sync.Mutex // guards what follows: strikes come from a timer
	disk    *powercut.Disk
	after   *powercut.Disk // what the cut left, until it is mounted
	unmount func()
}

// onDisk moves ledger and lists of a campaign to a disk, and makes each strike
// cut its power.
func (c *campaign) onDisk(t *testing.T) *powered {
	t.Helper()
	if code := c.authority.stop(t); code != 0 {
		t.Fatalf("the authority ended with %d", code)
	}
	p := &powered{campaign: c, random: rand.New(rand.NewPCG(c.random.Uint64(), 1)), mount: c.path("disk"), copies: t.TempDir(), disk: powercut.New()}
	content := t.TempDir()
	for _, err := range []error{
		os.Rename(c.path("ledger.db"), filepath.Join(content, "ledger.db")),
		os.Rename(c.path("lists"), filepath.Join(content, "lists")),
		os.Mkdir(p.mount, 0o700),
		p.disk.Import(content),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"authority.yaml", "cpsca.yaml"} {
		c.edit(t, file, "ledger: ledger.db", "ledger: disk/ledger.db")
	}
	c.edit(t, "authority.yaml", "folder: lists", "folder: disk/lists")
	p.unmount = powercut.MountForTest(t, p.disk, p.mount)
	c.strike, c.rest, c.view = p.cut, p.restored, p.seen
	c.startAuthority(t)
	return p
}

// cut cuts the power and ends the process that had it. Every second cut keeps a
// part of what was not synced.
func (p *powered) cut(victim *process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var keep func() bool
	if p.random.IntN(2) == 0 {
		keep = func() bool { return p.random.IntN(2) == 0 }
	}
	p.after = p.disk.Cut(keep)
	_ = victim.command.Process.Kill()
}

// restored mounts what outlived the cut, and copies it to where it can be read
// without touching it.
func (p *powered) restored(t *testing.T) (ledger, folder string) {
	t.Helper()
	p.mu.Lock()
	if p.after == nil {
		t.Fatalf("the authority ended before the power was cut:\n%s", lastLines(read(t, p.authority.log)))
	}
	p.unmount()
	p.disk, p.after = p.after, nil
	p.unmount = powercut.MountForTest(t, p.disk, p.mount)
	p.mu.Unlock()
	return p.seen(t)
}

// seen copies what the processes see on the disk at this instant.
func (p *powered) seen(t *testing.T) (ledger, folder string) {
	t.Helper()
	err := os.RemoveAll(p.copies)
	if err == nil {
		err = os.Mkdir(p.copies, 0o700)
	}
	if err == nil {
		err = p.disk.Export(p.copies)
	}
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(p.copies, "ledger.db"), filepath.Join(p.copies, "lists")
}

func TestPowerCutAtAnyInstantLosesNothingThatWasAcknowledged(t *testing.T) {
	testpki.SoftHSMForTest(t)
	progress := openProgress(t, "cuts", 30, 300)
	progress.parallel(t, cutsPerHouse, func(t *testing.T, seed uint64) map[string]int {
		c := newCampaign(t, 1000+seed, 24*cutsPerHouse)
		c.onDisk(t)
		c.measure(t)
		for range cutsPerHouse {
			c.round(t)
		}
		c.end(t)
		return c.left
	})
}

// The negative control: the same house with durable commit switched off loses
// what it acknowledged, and the judgement says so. Without this, the test above
// would prove nothing.
func TestPowerCutWithoutDurableCommitLosesWhatWasAcknowledged(t *testing.T) {
	testpki.SoftHSMForTest(t)
	err := buildUnprotected()
	if err != nil {
		t.Fatal(err)
	}
	c := newCampaign(t, 2000, 24*cutsPerHouse)
	p := c.onDisk(t)
	c.authority.kill()
	c.env = append(c.env, "CPSCA_WITHOUT=durability")
	c.programs = filepath.Join(workshop, "unprotected")
	c.startAuthority(t)
	c.measure(t)
	for range cutsPerHouse {
		c.mishaps++
		if c.behindItsList(t) {
			t.Logf("after %d cuts: the number of a published list is lost", c.mishaps)
			return
		}
		c.cutOff(t)
		ledger, folder := p.restored(t)
		_, signed := c.witnessed(t)
		for _, fault := range c.checkAll(t, moment{ledger: ledger, folder: folder, signed: signed}) {
			if strings.Contains(fault, "is not recorded") {
				t.Logf("after %d cuts: %s", c.mishaps, fault)
				return
			}
		}
	}
	t.Error("without durable commit nothing that was acknowledged was lost: the disk proves nothing")
}

// behindItsList starts the authority, and says whether it refused because the
// ledger does not know the list that was published: what it had committed is
// lost then, too.
func (c *campaign) behindItsList(t *testing.T) bool {
	t.Helper()
	c.mendTokens(t)
	c.authority = c.launch(t, "cpsca-authority", "authority.yaml")
	behind := false
	until(t, 40*time.Second, "the authority is ready, or refuses", func() bool {
		if !c.authority.alive() {
			log := read(t, c.authority.log)
			behind = strings.Contains(lastLines(log), "the ledger is older than the list")
			if !behind {
				t.Fatalf("the authority ended at once:\n%s", lastLines(log))
			}
			return true
		}
		code, _ := get(t, "http://"+c.addresses.management+"/readyz")
		return code == http.StatusOK
	})
	return behind
}
