package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"cpsca/client"
	"cpsca/cmd/internal/service"
	"cpsca/config"

	"golang.org/x/sync/errgroup"
)

// grace is how long what has begun may take to come to its end at shutdown.
const grace = 30 * time.Second

// serve runs the authority until the context ends.
func serve(ctx context.Context, settings *config.Authority, log *slog.Logger) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	a := &authority{settings: settings, log: log, stop: stop}
	err := a.assemble(ctx)
	if err == nil {
		err = a.run(ctx)
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause // why it stopped, not what the stop did to others
	}
	return errors.Join(err, a.close())
}

func (a *authority) run(ctx context.Context) error {
	protection, err := mutualTLS(a.settings.TLS)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", a.settings.Listen)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	doors := &http.Server{
		Handler: a.doors, TLSConfig: protection, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
	g.Go(func() error { return service.Until(ctx, doors, listener, grace) })
	if a.settings.Management != "" {
		management, err := net.Listen("tcp", a.settings.Management)
		if err != nil {
			listener.Close()
			return fmt.Errorf("listening for management: %w", err)
		}
		health := &http.Server{Handler: a.management(), ReadHeaderTimeout: 5 * time.Second}
		g.Go(func() error { return service.Until(ctx, health, management, grace) })
	}
	g.Go(func() error { return a.publisher.Run(ctx) })
	g.Go(func() error { return a.wake(ctx) })
	a.log.Info("the authority serves", "address", listener.Addr().String(), "epoch", a.db.Epoch(), "gate", a.settings.Gate)
	err = g.Wait()
	a.log.Info("the authority stops")
	return err
}

// wake tells the publisher of every change of the feed; it makes a list only
// if the change belongs on one.
func (a *authority) wake(ctx context.Context) error {
	for {
		changed := a.db.Changed()
		a.publisher.Wake()
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		}
	}
}

// mutualTLS asks every client for a certificate of the technical hierarchy.
// What it may do is decided by its enrolment, at every request.
func mutualTLS(t config.TLS) (*tls.Config, error) {
	pair, err := client.LoadCertificate(t.Certificate, t.Key)
	if err != nil {
		return nil, fmt.Errorf("reading the server's certificate: %w", err)
	}
	text, err := os.ReadFile(t.Trust)
	if err != nil {
		return nil, fmt.Errorf("reading the technical root: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("reading the technical root: %s holds no certificate", t.Trust)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots, MinVersion: tls.VersionTLS13,
	}, nil
}

// management serves health (the process lives), readiness (it can issue: the
// ledger answers and has room, the HSM signs) and the figures for Prometheus.
func (a *authority) management() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		service.Reply(w, http.StatusOK, map[string]string{"state": "alive"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		state := a.readiness(r.Context())
		code := http.StatusOK
		if state != ready {
			code = http.StatusServiceUnavailable
		}
		service.Reply(w, code, map[string]string{"state": state})
	})
	mux.Handle("GET /metrics", a.meter.Handler())
	return mux
}
