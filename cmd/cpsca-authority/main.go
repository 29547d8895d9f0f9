// Command cpsca-authority issues: it opens the ledger, of which it is the only
// writer while it runs, and the HSM, and serves /v1 over mTLS.
//
// At start it takes a new epoch, abandons what an earlier process left between
// intent and record, reads the attributes of its keys back, and serves only
// then. It ends by itself when the disk fails in a way that hides what was
// written. SIGINT and SIGTERM let what has begun come to its end.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"cpsca/config"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "cpsca-authority:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	var path string
	var debug bool
	c := &cobra.Command{
		Use:   "cpsca-authority",
		Short: "Serve the certificate authority",
		Long: `Serves /v1 of the certificate authority over mutually authenticated TLS, from the
ledger and the HSM that its configuration names. Stop it with SIGINT or SIGTERM.
Exits with 0 when stopped, 1 when it cannot start or had to stop.`,
		Example:       "  cpsca-authority --config var/run/authority.yaml",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(c *cobra.Command, _ []string) error {
			level := slog.LevelInfo
			if debug {
				level = slog.LevelDebug
			}
			log := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
			settings, err := config.ReadAuthority(path)
			if err != nil {
				return err
			}
			err = serve(c.Context(), settings, log)
			if errors.Is(err, context.Canceled) {
				return nil
			}
			return err
		},
	}
	c.Flags().StringVarP(&path, "config", "c", "authority.yaml", "configuration file")
	c.Flags().BoolVar(&debug, "debug", false, "log what clients did wrong, too")
	return c
}
