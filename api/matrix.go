package api

import "cpsca/officer"

var (
	everybody = officer.Roles[:]
	deskWork  = []officer.Role{officer.SecurityOfficer, officer.Desk}
	readers   = []officer.Role{officer.SecurityOfficer, officer.Desk, officer.Auditor}
	listeners = []officer.Role{officer.SecurityOfficer, officer.StatusNode, officer.Auditor}
	officers  = []officer.Role{officer.SecurityOfficer}
	bureaux   = []officer.Role{officer.Bureau}
	nodes     = []officer.Role{officer.StatusNode}
	// withBureau are doors that show a bureau its own things and nothing else.
	withBureau = []officer.Role{officer.SecurityOfficer, officer.Desk, officer.Bureau, officer.Auditor}
)

// matrix says which role may pass which door: the one place where that is
// decided. New refuses a door without a row here, and a row without a door.
var matrix = map[string][]officer.Role{
	"GET /v1/version":      everybody,
	"GET /v1/openapi.yaml": everybody,
	"GET /v1/issuers":      everybody,

	"POST /v1/registry/persons":     officers,
	"POST /v1/registry/events":      officers,
	"POST /v1/registry/contacts":    officers,
	"GET /v1/registry/persons/{id}": readers,

	"POST /v1/orders":             deskWork,
	"GET /v1/orders":              withBureau,
	"GET /v1/orders/ready":        bureaux,
	"POST /v1/orders/{id}/cancel": deskWork,

	"POST /v1/applications":            bureaux,
	"POST /v1/cards/{number}/spoiled":  bureaux,
	"POST /v1/cards/{number}/activate": deskWork,
	"POST /v1/cards/{number}/loss":     deskWork,
	"GET /v1/cards/{number}":           withBureau,
	"GET /v1/cards":                    readers,
	"GET /v1/cards/{number}/history":   readers,

	"GET /v1/certificates/{issuer}/{serial}":         readers,
	"POST /v1/certificates/{issuer}/{serial}/revoke": officers,

	"GET /v1/lists":                   listeners,
	"GET /v1/lists/{issuer}":          listeners,
	"POST /v1/lists/{issuer}/publish": officers,

	"GET /v1/feed":        nodes,
	"POST /v1/responders": nodes,

	"GET /v1/enrolments": {officer.SecurityOfficer, officer.Auditor},
}
