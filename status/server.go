package status

import (
	"log/slog"
	"net/http"
	"time"
)

// Bounds of a public connection: requests are small, and nobody may hold a
// connection for long by being slow.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = 30 * time.Second // a list may be megabytes
	idleTimeout       = time.Minute
	maxHeaderSize     = 64 << 10 // a request of the largest size in the path fits
)

// Server returns an HTTP server for the handler with the timeouts of a public
// service, to be given a listener. What net/http has to say of clients goes to
// the log as debugging.
func Server(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderSize,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}
