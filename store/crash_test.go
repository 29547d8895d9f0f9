package store

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"cpsca/card"
	"cpsca/registry"
)

// childLedger names, in the environment of a child process, the ledger that it
// is to write until it is killed.
const childLedger = "CPSCA_TEST_CHILD_LEDGER"

// work issues and revokes cards for ever and prints what was acknowledged.
func work(ctx context.Context, path string) error {
	db, err := Open(ctx, at(path))
	if err != nil {
		return err
	}
	_, err = db.AbandonEarlier(ctx)
	if err != nil {
		return err
	}
	fmt.Println("opened")
	for {
		err = workOnce(ctx, db)
		if err != nil {
			return err
		}
	}
}

func workOnce(ctx context.Context, db *DB) error {
	var orders []card.Order
	for range 3 {
		o := orderFor(newHolder(), card.First, "")
		o.ID = card.OrderID(fmt.Sprintf("e%dn%d", db.Epoch(), next()))
		o.Holder = registry.NationalID("8" + o.ID) // no two children have one holder
		orders = append(orders, o)
	}
	err := db.Apply(ctx, card.Decision{Actor: "desk", Action: "order", At: dawn, Opens: orders})
	if err != nil {
		return err
	}
	var chunk []card.Attempt
	for _, o := range orders {
		cards, err := db.CardsOfOrder(ctx, o.ID)
		if err != nil {
			return err
		}
		chunk = append(chunk, card.Attempt{
			Order: o.ID, Card: cards[0].ID, Number: card.Number(fmt.Sprintf("%05d%05d", db.Epoch(), next())), Requester: "bureau-client",
			Intents: []card.Intent{newIntent(o.ID, card.Authentication), newIntent(o.ID, card.Signature)},
		})
		fmt.Println("ordered", o.ID)
	}
	refusals, err := db.Intend(ctx, chunk)
	if err != nil || refusals[0] != nil {
		return fmt.Errorf("intend: %v %w", refusals, err)
	}
	fmt.Println("intended", chunk[0].Order)
	err = db.Record(ctx, []card.Signed{sign(chunk[0]), sign(chunk[1])}, card.GateHold)
	if err != nil {
		return err
	}
	fmt.Println("recorded", chunk[0].Number)
	err = db.Abandon(ctx, "authority", chunk[2:])
	if err != nil {
		return err
	}
	c, err := db.Card(ctx, chunk[0].Number)
	if err != nil {
		return err
	}
	change, err := c.Step(card.Revoke, dawn)
	if err != nil {
		return err
	}
	err = db.Apply(ctx, card.Decision{
		Actor: "desk", Action: "loss report", At: dawn, Changes: []card.Change{change},
		Report: &card.LossReport{Card: c.Number, Circumstance: card.NotReceived, Received: dawn, Reporter: "desk"},
	})
	if err != nil {
		return err
	}
	fmt.Println("revoked", c.Number)
	return nil
}

func TestWhatWasAcknowledgedSurvivesAKill(t *testing.T) {
	db := newLedger(t)
	path := place(db)
	_ = db.Close()
	var said []string
	open := 0
	for seed := range uint64(20) {
		said = append(said, killedChild(t, path, rand.New(rand.NewPCG(seed, 3)))...)
		db := openLedger(t, path)
		acknowledged(t, db, said)
		n, err := db.AbandonEarlier(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		open += n
		count(t, db, 0, "SELECT COUNT(*) FROM attempts WHERE state = 'intent'")
		checkAll(t, db)
		err = db.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
	if open == 0 {
		t.Error("no kill left an open intent: the instants prove nothing")
	}
	t.Logf("%d acknowledged operations, %d attempts abandoned after 20 kills", len(said), open)
}

// killedChild lets a child write the ledger, kills it at an instant drawn from
// source and returns the lines it had printed.
func killedChild(t *testing.T, path string, source *rand.Rand) []string {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childLedger+"="+path)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	err = child.Start()
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	var said []string
	for range 2 + source.IntN(30) {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("the child ended by itself: %v", err)
		}
		said = append(said, strings.TrimSpace(line))
	}
	<-time.After(time.Duration(source.IntN(5000)) * time.Microsecond)
	err = syscall.Kill(child.Process.Pid, syscall.SIGKILL)
	if err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(lines)
	_ = child.Wait()
	whole := strings.Split(string(rest), "\n")
	return append(said, whole[:len(whole)-1]...)
}

// acknowledged looks for each printed operation in the ledger.
func acknowledged(t *testing.T, db *DB, said []string) {
	t.Helper()
	for _, line := range said {
		what, name, _ := strings.Cut(line, " ")
		switch what {
		case "opened":
		case "ordered":
			count(t, db, 1, "SELECT COUNT(*) FROM orders WHERE id = $1", name)
		case "intended":
			count(t, db, 2, "SELECT COUNT(*) FROM intents WHERE order_id = $1", name)
		case "recorded":
			count(t, db, 2, "SELECT COUNT(*) FROM certificates c JOIN cards k ON k.id = c.card_id WHERE k.number = $1 AND k.state IN ('personalised', 'revoked')", name)
		case "revoked":
			count(t, db, 2, "SELECT COUNT(*) FROM certificates c JOIN cards k ON k.id = c.card_id JOIN intents i ON i.number = c.intent JOIN revocations r ON r.serial = i.serial WHERE k.number = $1 AND k.state = 'revoked' AND r.status = 'revoked'", name)
			count(t, db, 1, "SELECT COUNT(*) FROM loss_reports l JOIN cards k ON k.id = l.card_id WHERE k.number = $1", name)
		default:
			t.Fatalf("the child said %q", line)
		}
	}
}
