// Command cpsca-status answers the world about the certificates of cards: OCSP,
// revocation lists and CA certificates over HTTP.
//
// It issues nothing and never opens the ledger: it follows the authority's
// signed feed over mTLS, keeps its own copy of feed and lists, and holds only
// the keys of its responders. Without the authority it goes on with what it
// has, dated as it is, for up to 72 hours.
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
		fmt.Fprintln(os.Stderr, "cpsca-status:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	var path string
	var debug bool
	c := &cobra.Command{
		Use:   "cpsca-status",
		Short: "Serve OCSP, revocation lists and CA certificates",
		Long: `Serves OCSP at / and /ocsp, lists at /crl/NAME.crl and CA certificates at
/ca/NAME.cer, from its own copy of the authority's feed. Several nodes may run
side by side, each with its own folder, token and certificate. Stop it with
SIGINT or SIGTERM. Exits with 0 when stopped, 1 when it cannot start or had to stop.`,
		Example:       "  cpsca-status --config var/run/status.yaml",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(c *cobra.Command, _ []string) error {
			level := slog.LevelInfo
			if debug {
				level = slog.LevelDebug
			}
			log := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
			settings, err := config.ReadStatus(path)
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
	c.Flags().StringVarP(&path, "config", "c", "status.yaml", "configuration file")
	c.Flags().BoolVar(&debug, "debug", false, "log what clients did wrong, too")
	return c
}
