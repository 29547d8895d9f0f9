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
	"log/slog"

	"cpsca/cmd/internal/language"
	"cpsca/cmd/internal/service"
	"cpsca/config"
)

func main() {
	service.Main(service.Daemon{
		Name:  "cpsca-status",
		Short: language.Say("Serve OCSP, revocation lists and CA certificates", "Sert OCSP, listes de révocation et certificats d'AC"),
		Long: language.Say(`Serves OCSP at / and /ocsp, lists at /crl/NAME.crl and CA certificates at
/ca/NAME.cer, from its own copy of the authority's feed. Several nodes may run
side by side, each with its own folder, token and certificate. Stop it with
SIGINT or SIGTERM. Exits with 0 when stopped, 1 when it cannot start or had to stop.`,
			`Sert OCSP sur / et /ocsp, les listes sur /crl/NOM.crl et les certificats d'AC sur
/ca/NOM.cer, depuis sa propre copie du flux de l'autorité. Plusieurs nœuds peuvent
tourner côte à côte, chacun avec son dossier, son jeton et son certificat. Arrêtez-le
par SIGINT ou SIGTERM. Code de sortie 0 s'il est arrêté, 1 s'il ne peut démarrer ou a
dû s'arrêter.`),
		Example:       "  cpsca-status --config var/run/status.yaml",
		Configuration: "status.yaml",
		Serve: func(ctx context.Context, path string, log *slog.Logger) error {
			settings, err := config.ReadStatus(path)
			if err != nil {
				return err
			}
			return serve(ctx, settings, log)
		},
	})
}
