package status

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"cpsca/feed"
)

const (
	defaultEvery      = time.Second
	defaultListsEvery = 10 * time.Second
	// heartbeatEvery is how often a head without records goes to the copy.
	heartbeatEvery = time.Minute
	// headAhead is how far the authority's clock may run before ours: one
	// head from the far future would make every true one look old.
	headAhead = 5 * time.Minute
)

// ErrHeadAhead: the authority dates its head in our future.
var ErrHeadAhead = errors.New("the feed head is dated in the future")

// Source is the authority as the follower sees it.
type Source interface {
	// Records returns records after a sequence, in order, and the last head.
	// They may end before the head, and are then asked for again, or beyond.
	Records(ctx context.Context, after uint64) ([]feed.Record, feed.Head, error)
	// Lists returns the published lists in DER by the names of their issuers.
	Lists(ctx context.Context) (map[string][]byte, error)
}

// FollowerConfig says what a Follower keeps current.
type FollowerConfig struct {
	Source Source
	Image  *feed.Image
	// Copy keeps the feed on disk. Nil keeps nothing: after a restart the
	// authority must be there.
	Copy  *feed.Copy
	Lists *Lists
	// Every is the time between two looks at the feed, 10 ms to 1 min.
	// Default 1 s.
	Every time.Duration
	// ListsEvery is the time between two looks at the lists, 10 ms to 1 h.
	// Default 10 s.
	ListsEvery time.Duration
	// Log gets a line when something begins to fail, when it works again, and
	// for each new alarm. Default: none.
	Log *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Validate returns the first setting that is missing or out of bounds; zero
// durations stand for the defaults.
func (c FollowerConfig) Validate() error {
	switch {
	case c.Source == nil || c.Image == nil || c.Lists == nil:
		return errors.New("status: Source, Image and Lists are required")
	case c.Every != 0 && (c.Every < 10*time.Millisecond || c.Every > time.Minute):
		return errors.New("status: Every must be 10 ms to 1 min")
	case c.ListsEvery != 0 && (c.ListsEvery < 10*time.Millisecond || c.ListsEvery > time.Hour):
		return errors.New("status: ListsEvery must be 10 ms to 1 h")
	}
	return nil
}

// Follower brings image, copy and lists up to what the authority publishes.
type Follower struct {
	cfg    FollowerConfig
	stored time.Time // as-of of the last head in the copy; owned by Run

	mu       sync.Mutex // guards all below
	feedErr  error
	copyErr  error
	listErrs map[string]error // by list; the empty name for all
	alarms   int              // of the image, that were logged
}

// NewFollower makes a follower.
func NewFollower(cfg FollowerConfig) (*Follower, error) {
	err := cfg.Validate()
	if err != nil {
		return nil, err
	}
	if cfg.Every == 0 {
		cfg.Every = defaultEvery
	}
	if cfg.ListsEvery == 0 {
		cfg.ListsEvery = defaultListsEvery
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Follower{cfg: cfg, listErrs: map[string]error{}}, nil
}

// Run follows until the context ends, and returns its error. Nothing that the
// authority sends or fails to send ends it earlier.
func (f *Follower) Run(ctx context.Context) error {
	var both sync.WaitGroup
	both.Go(func() {
		repeat(ctx, f.cfg.Every, func() { f.setFeed(f.followFeed(ctx)) })
	})
	both.Go(func() {
		repeat(ctx, f.cfg.ListsEvery, func() { f.setLists(f.followLists(ctx)) })
	})
	both.Wait()
	return ctx.Err()
}

// repeat does something at once and then every so often until the context
// ends.
func repeat(ctx context.Context, every time.Duration, do func()) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for ctx.Err() == nil {
		do()
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// followFeed takes what is new in the feed.
func (f *Follower) followFeed(ctx context.Context) error {
	records, head, err := f.fetch(ctx)
	if err != nil {
		return err
	}
	if head.AsOf.After(f.cfg.Now().Add(headAhead)) {
		return fmt.Errorf("following the feed: %w", ErrHeadAhead)
	}
	err = f.cfg.Image.Apply(records, head)
	if err != nil {
		return err
	}
	f.noteAlarms()
	if f.cfg.Copy == nil || len(records) == 0 && head.AsOf.Sub(f.stored) < heartbeatEvery {
		return nil
	}
	err = f.cfg.Copy.Append(records, head)
	f.setCopy(err)
	f.stored = head.AsOf
	return nil
}

// fetch asks until the records reach a head. The image checks them.
func (f *Follower) fetch(ctx context.Context) ([]feed.Record, feed.Head, error) {
	var all []feed.Record
	after := f.cfg.Image.Sequence()
	for {
		records, head, err := f.cfg.Source.Records(ctx, after)
		if err != nil {
			return nil, feed.Head{}, fmt.Errorf("fetching the feed: %w", err)
		}
		all = append(all, records...)
		if len(records) > 0 && records[len(records)-1].Sequence > after && records[len(records)-1].Sequence < head.Sequence {
			after = records[len(records)-1].Sequence
			continue
		}
		for len(all) > 0 && all[len(all)-1].Sequence > head.Sequence {
			all = all[:len(all)-1]
		}
		return all, head, nil
	}
}

// followLists takes the lists that are new, each for itself: one that is
// refused does not keep the others back.
func (f *Follower) followLists(ctx context.Context) map[string]error {
	errs := map[string]error{}
	lists, err := f.cfg.Source.Lists(ctx)
	if err != nil {
		errs[""] = fmt.Errorf("fetching the lists: %w", err)
		return errs
	}
	for name, der := range lists {
		err = f.cfg.Lists.Put(name, der)
		// The authority may publish what this node was not told to serve.
		if err != nil && !errors.Is(err, ErrUnknownList) {
			errs[name] = err
		}
	}
	return errs
}

func (f *Follower) setFeed(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.transition("the feed", f.feedErr, err)
	f.feedErr = err
}

func (f *Follower) setCopy(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.transition("the feed copy", f.copyErr, err)
	f.copyErr = err
}

func (f *Follower) setLists(errs map[string]error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(f.listErrs)) {
		if errs[name] == nil {
			f.transition("list "+name, f.listErrs[name], nil)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(errs)) {
		f.transition("list "+name, f.listErrs[name], errs[name])
	}
	f.listErrs = errs
}

// transition logs only changes, as a failure repeats with every look.
func (f *Follower) transition(what string, before, after error) {
	switch {
	case before == nil && after != nil:
		f.cfg.Log.Error("cannot follow "+what, "error", after)
	case before != nil && after == nil:
		f.cfg.Log.Info("following " + what + " again")
	}
}

// noteAlarms logs the image's alarms that are new.
func (f *Follower) noteAlarms() {
	count, alarms := f.cfg.Image.Alarms()
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := f.alarms; i < min(count, len(alarms)); i++ {
		a := alarms[i]
		f.cfg.Log.Error("the feed would revive a serial; it keeps its status", "issuer", a.Kept.Issuer.String(),
			"serial", a.Kept.Serial.String(), "kept", a.Kept.Status, "refused", a.Refused.Status, "sequence", a.Refused.Sequence)
	}
	f.alarms = count
}
