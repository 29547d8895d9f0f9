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
	"log/slog"

	"cpsca/cmd/internal/language"
	"cpsca/cmd/internal/service"
	"cpsca/config"
)

func main() {
	service.Main(service.Daemon{
		Name:  "cpsca-authority",
		Short: language.Say("Serve the certificate authority", "Sert l'autorité de certification"),
		Long: language.Say(`Serves /v1 of the certificate authority over mutually authenticated TLS, from the
ledger and the HSM that its configuration names. Stop it with SIGINT or SIGTERM.
Exits with 0 when stopped, 1 when it cannot start or had to stop.`,
			`Sert /v1 de l'autorité de certification par TLS mutuel, depuis le grand livre et le
HSM que nomme sa configuration. Arrêtez-la par SIGINT ou SIGTERM. Code de sortie 0 si
elle est arrêtée, 1 si elle ne peut démarrer ou a dû s'arrêter.`),
		Example:       "  cpsca-authority --config var/run/authority.yaml",
		Configuration: "authority.yaml",
		Serve: func(ctx context.Context, path string, log *slog.Logger) error {
			settings, err := config.ReadAuthority(path)
			if err != nil {
				return err
			}
			return serve(ctx, settings, log)
		},
	})
}
