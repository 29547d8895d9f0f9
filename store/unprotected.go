//go:build unprotected

package store

import (
	"os"
	"slices"
	"strings"
)

// What CPSCA_WITHOUT names, separated by commas, is switched off: the ledger is
// then good for measuring what it costs and for nothing else.
var (
	journalled = !without("journal")
	durable    = !without("durability")
)

func without(protection string) bool {
	return slices.Contains(strings.Split(os.Getenv("CPSCA_WITHOUT"), ","), protection)
}
