package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"cpsca/cmd/internal/service"
	"cpsca/config"
	"cpsca/status"

	"golang.org/x/sync/errgroup"
)

// grace is how long answers under way may take at shutdown.
const grace = 10 * time.Second

// serve runs the node until the context ends.
func serve(ctx context.Context, settings *config.Status, log *slog.Logger) error {
	n := &node{settings: settings, log: log}
	err := n.assemble(ctx)
	if err == nil {
		err = n.run(ctx)
	}
	return errors.Join(err, n.close())
}

func (n *node) run(ctx context.Context) error {
	listener, err := net.Listen("tcp", n.settings.Listen)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	public := status.Server(n.handler, n.log)
	g.Go(func() error { return service.Until(ctx, public, listener, grace) })
	if n.settings.Management != "" {
		management, err := net.Listen("tcp", n.settings.Management)
		if err != nil {
			listener.Close()
			return fmt.Errorf("listening for management: %w", err)
		}
		health := &http.Server{Handler: n.management(), ReadHeaderTimeout: 5 * time.Second}
		g.Go(func() error { return service.Until(ctx, health, management, grace) })
	}
	g.Go(func() error { return n.follower.Run(ctx) })
	g.Go(func() error { return n.enrolment.Run(ctx) })
	n.log.Info("the status node serves", "address", listener.Addr().String())
	err = g.Wait()
	n.log.Info("the status node stops")
	return err
}

// management serves health (the process lives), readiness (OCSP is answered
// for every issuer) and the position of the node.
func (n *node) management() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		service.Reply(w, http.StatusOK, map[string]string{"state": "alive"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		health := status.Examine(n.follower, n.enrolment)
		code := http.StatusOK
		if !health.Serving {
			code = http.StatusServiceUnavailable
		}
		service.Reply(w, code, health)
	})
	mux.HandleFunc("GET /v1/position", func(w http.ResponseWriter, _ *http.Request) {
		service.Reply(w, http.StatusOK, n.follower.Position())
	})
	return mux
}
