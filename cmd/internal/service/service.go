// Package service is what every daemon of the house does alike: a command line
// with one configuration file, logs as JSON on standard error, servers that stop
// when they are told to and let what has begun come to its end, answers of the
// management port.
package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"cpsca/cmd/internal/language"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// Daemon describes one program.
type Daemon struct {
	Name, Short, Long, Example string
	// Configuration is the default of --config.
	Configuration string
	// Serve runs until the context ends. The error that is the context's own
	// means that it was stopped.
	Serve func(ctx context.Context, configuration string, log *slog.Logger) error
}

// Main runs a daemon and ends the process: 0 when stopped by SIGINT or
// SIGTERM, 1 when it cannot start or had to stop.
func Main(d Daemon) {
	err := keepSecrets()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", d.Name, err)
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err = d.command().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", d.Name, err)
		os.Exit(1)
	}
}

// keepSecrets keeps the PIN in memory out of core dumps and out of reach of
// other processes of the same user.
func keepSecrets() error {
	err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	if err == nil {
		err = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	}
	if err != nil {
		return fmt.Errorf("forbidding core dumps: %w", err)
	}
	return nil
}

func (d Daemon) command() *cobra.Command {
	var path string
	var debug bool
	c := &cobra.Command{
		Use: d.Name, Short: d.Short, Long: d.Long, Example: d.Example,
		Args: cobra.NoArgs, SilenceUsage: true, SilenceErrors: true,
		RunE: func(c *cobra.Command, _ []string) error {
			level := slog.LevelInfo
			if debug {
				level = slog.LevelDebug
			}
			log := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
			err := d.Serve(c.Context(), path, log)
			if errors.Is(err, context.Canceled) {
				return nil
			}
			return err
		},
	}
	c.Flags().StringVarP(&path, "config", "c", d.Configuration, language.Say("configuration file", "fichier de configuration"))
	c.Flags().BoolVar(&debug, "debug", false, language.Say("log what clients did wrong, too", "journaliser aussi les erreurs des clients"))
	return c
}

// Until serves on a listener until the context ends, over TLS if the server is
// configured for it, and then gives requests under way some grace.
func Until(ctx context.Context, s *http.Server, listener net.Listener, grace time.Duration) error {
	failed := make(chan error, 1)
	go func() {
		if s.TLSConfig != nil {
			failed <- s.ServeTLS(listener, "", "")
			return
		}
		failed <- s.Serve(listener)
	}()
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

// Reply answers with JSON that nobody may keep.
func Reply(w http.ResponseWriter, code int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(value) // the client went away
}
