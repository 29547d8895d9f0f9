package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

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
	g.Go(func() error { return until(ctx, public, listener) })
	if n.settings.Management != "" {
		management, err := net.Listen("tcp", n.settings.Management)
		if err != nil {
			listener.Close()
			return fmt.Errorf("listening for management: %w", err)
		}
		health := &http.Server{Handler: n.management(), ReadHeaderTimeout: 5 * time.Second}
		g.Go(func() error { return until(ctx, health, management) })
	}
	g.Go(func() error { return n.follower.Run(ctx) })
	g.Go(func() error { return n.enrolment.Run(ctx) })
	n.log.Info("the status node serves", "address", listener.Addr().String())
	err = g.Wait()
	n.log.Info("the status node stops")
	return err
}

// until serves until the context ends, and then lets answers come to theirs.
func until(ctx context.Context, s *http.Server, listener net.Listener) error {
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := s.Shutdown(end)
	if err != nil {
		return fmt.Errorf("stopping: %w", err)
	}
	return context.Cause(ctx)
}

// management serves health (the process lives), readiness (OCSP is answered
// for every issuer) and the position of the node.
func (n *node) management() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, map[string]string{"state": "alive"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		health := status.Examine(n.follower, n.enrolment)
		code := http.StatusOK
		if !health.Serving {
			code = http.StatusServiceUnavailable
		}
		reply(w, code, health)
	})
	mux.HandleFunc("GET /v1/position", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, n.follower.Position())
	})
	return mux
}

func reply(w http.ResponseWriter, code int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(value) // the client went away
}
