package status

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cpsca/card"
	"cpsca/feed"
)

func TestTheFollowerSeesChangesWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, time.Now())
		n.follower.cfg.Now = time.Now
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- n.follower.Run(ctx) }()
		synctest.Wait()
		n.change(n.record(1, card.StatusRevoked))
		n.publish("issuer", n.list(2, n.clock.now()))
		pass(time.Second)
		if got, _ := n.image.Lookup(n.id, serial(1)); got.Status != card.StatusRevoked {
			t.Errorf("after a second: got %s", got.Status)
		}
		pass(10 * time.Second)
		p := n.follower.Position()
		if p.Sequence != 5 || p.Lists["issuer"].Number != 2 || p.AsOf != n.head.AsOf {
			t.Errorf("after ten seconds: got %+v", p)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

func TestPagesAreJoinedUpToAHead(t *testing.T) {
	n := newNode(t, start)
	for i := range byte(50) {
		n.change(n.record(100+i, card.StatusGood))
	}
	n.authority.page = 7
	n.follow(t)
	if n.image.Sequence() != 54 {
		t.Fatalf("got sequence %d, want 54", n.image.Sequence())
	}
	// A head that is behind the records: they wait for the next one.
	before := n.head
	n.change(n.record(200, card.StatusGood))
	n.authority.head = before
	n.follow(t)
	if n.image.Sequence() != 54 || n.follower.feedErr != nil {
		t.Fatalf("got sequence %d, %v", n.image.Sequence(), n.follower.feedErr)
	}
}

func TestWhatTheAuthoritySendsWronglyIsSeenAndChangesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(n *node)
		want  error
	}{
		"no answer":              {func(n *node) { n.down = errAway }, errAway},
		"a forged head":          {func(n *node) { n.head.Sequence++ }, feed.ErrSignature},
		"a head without records": {func(n *node) { n.change(n.record(9, card.StatusGood)); n.records = n.records[:4] }, feed.ErrGap},
		"another history": {func(n *node) {
			n.head, n.records = feed.Head{}, nil
			n.page = 0
			n.change(n.record(9, card.StatusGood))
		}, feed.ErrOlder},
		"a head from the future": {func(n *node) {
			n.clock.advance(time.Hour)
			n.change(n.record(9, card.StatusGood))
			n.clock.advance(-time.Hour)
		}, ErrHeadAhead},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, start)
			n.log.Reset()
			head := n.image.Head()
			good, records := n.head, n.records
			c.spoil(n)
			for range 3 {
				err := n.follower.followFeed(t.Context())
				n.follower.setFeed(err)
				if !errors.Is(err, c.want) {
					t.Fatalf("got %v, want %v", err, c.want)
				}
			}
			if n.image.Head().Hash != head.Hash || len(Examine(n.follower, n.enrolment).Alarms) != 1 {
				t.Errorf("got %+v", Examine(n.follower, n.enrolment))
			}
			n.down, n.head, n.records = nil, good, records
			n.follow(t)
			if alarms := Examine(n.follower, n.enrolment).Alarms; len(alarms) != 0 {
				t.Errorf("afterwards: %v", alarms)
			}
			if got := strings.Count(n.log.String(), "\n"); got != 2 {
				t.Errorf("got %d lines, want one when it fails and one when it works again:\n%s", got, n.log)
			}
		})
	}
}

var errAway = errors.New("the authority is away")

func TestABadListDoesNotKeepTheOthersBack(t *testing.T) {
	n := newNode(t, start)
	n.publish("issuer", []byte("garbage"))
	n.follow(t)
	health := Examine(n.follower, n.enrolment)
	if len(health.Alarms) != 1 || !health.Serving || health.Position.Lists["issuer"].Number != 1 {
		t.Fatalf("got %+v", health)
	}
	n.publish("issuer", n.list(2, start))
	n.follow(t)
	if health = Examine(n.follower, n.enrolment); len(health.Alarms) != 0 || health.Position.Lists["issuer"].Number != 2 {
		t.Fatalf("got %+v", health)
	}
}

func TestARevivalIsRefusedAndLogged(t *testing.T) {
	n := newNode(t, start)
	n.log.Reset()
	n.change(n.record(3, card.StatusGood))
	n.follow(t)
	n.follow(t)
	health := Examine(n.follower, n.enrolment)
	if health.Revivals != 1 || len(health.Alarms) != 1 || strings.Count(n.log.String(), "\n") != 1 {
		t.Fatalf("got %+v and\n%s", health, n.log)
	}
}

func TestTheCopyFollowsAndCarriesARestart(t *testing.T) {
	n := newNode(t, start)
	path := filepath.Join(t.TempDir(), "feed")
	stored, image, err := feed.OpenCopy(path, n.feedKey.Public())
	if err != nil {
		t.Fatal(err)
	}
	n.follower.cfg.Copy, n.follower.cfg.Image = stored, image
	n.follow(t)
	for range 5 { // heartbeats within the minute stay in memory
		n.clock.advance(time.Second)
		n.change()
		n.follow(t)
	}
	n.clock.advance(time.Second)
	n.change(n.record(1, card.StatusRevoked))
	n.follow(t)
	err = stored.Close()
	if err != nil {
		t.Fatal(err)
	}
	n.change(n.record(8, card.StatusGood))
	n.follow(t)
	if image.Sequence() != 6 || n.follower.copyErr == nil {
		t.Errorf("without its copy the node stands at %d, %v", image.Sequence(), n.follower.copyErr)
	}
	stored, image, err = feed.OpenCopy(path, n.feedKey.Public())
	if err != nil {
		t.Fatal(err)
	}
	defer stored.Close()
	if got, _ := image.Lookup(n.id, serial(1)); got.Status != card.StatusRevoked || image.Sequence() != 5 {
		t.Errorf("after the restart: got %s at %d", got.Status, image.Sequence())
	}
}

func TestFollowerSettingsAreChecked(t *testing.T) {
	n := newNode(t, start)
	for name, change := range map[string]func(*FollowerConfig){
		"no source":        func(c *FollowerConfig) { c.Source = nil },
		"no image":         func(c *FollowerConfig) { c.Image = nil },
		"no lists":         func(c *FollowerConfig) { c.Lists = nil },
		"too often":        func(c *FollowerConfig) { c.Every = time.Millisecond },
		"lists too rarely": func(c *FollowerConfig) { c.ListsEvery = 24 * time.Hour },
	} {
		cfg := n.follower.cfg
		change(&cfg)
		if _, err := NewFollower(cfg); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}
