package main

import (
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress draws a bar on a terminal, and nothing elsewhere: then the returned
// functions do nothing. total is in the unit that set is called with; bytes
// says that they are octets.
func (s *session) progress(what string, total int64, bytes bool) (set func(done int64), finish func()) {
	if !s.interactive() {
		return func(int64) {}, func() {}
	}
	options := []progressbar.Option{
		progressbar.OptionSetWriter(s.err), progressbar.OptionSetDescription(what), progressbar.OptionThrottle(100 * time.Millisecond),
		progressbar.OptionFullWidth(), progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true),
		progressbar.OptionShowElapsedTimeOnFinish(), progressbar.OptionClearOnFinish(),
	}
	if bytes {
		options = append(options, progressbar.OptionShowBytes(true))
	}
	bar := progressbar.NewOptions64(total, options...)
	// A bar that cannot be drawn is no reason to stop the work.
	return func(done int64) { _ = bar.Set64(done) }, func() { _ = bar.Finish() }
}
