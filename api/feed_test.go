package api

import (
	"testing"
	"testing/synctest"
	"time"
)

// Who waits for news is answered when the process is told to stop: a stop does
// not last as long as the longest wait.
func TestWhoWaitsForNewsIsAnsweredWhenTheProcessStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stopping := make(chan struct{})
		s := &Server{config: Config{Stopping: stopping}}
		began := time.Now()
		time.AfterFunc(time.Second, func() { close(stopping) })
		err := s.until(t.Context(), nil, longestWait*time.Second)
		if err != nil || time.Since(began) != time.Second {
			t.Fatalf("got %v after %v", err, time.Since(began))
		}
	})
}
