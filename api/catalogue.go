package api

import (
	"errors"

	"cpsca/ca"
	"cpsca/card"
	"cpsca/lifecycle"
	"cpsca/registry"
)

// text is a sentence in the languages of the house.
type text struct{ english, french string }

// entry is the problem of one sentinel (RFC 9457 §3.1): what happened is its
// title, what to do its detail.
type entry struct {
	err    error
	code   string // the end of the type
	status int
	retry  int  // seconds after which the same request may succeed; 0: never by itself
	told   bool // the error's own text goes to the caller as reason
	title  text
	detail text
}

// catalogue is searched from the top: where an error wraps several sentinels,
// the first row wins. A test holds it against the sentinels of card, registry,
// ca and lifecycle.
var catalogue = [][]entry{doorEntries, authorityEntries, orderEntries, applicationEntries, cardEntries, registryEntries}

// errTransition stands for *card.TransitionError in the catalogue.
var errTransition = errors.New("the card cannot do that now")

// entryOf finds the problem of an error.
func entryOf(err error) (entry, bool) {
	for _, part := range catalogue {
		for _, e := range part {
			if errors.Is(err, e.err) {
				return e, true
			}
		}
	}
	var transition *card.TransitionError
	if errors.As(err, &transition) {
		return entryOf(errTransition)
	}
	return entry{}, false
}

var doorEntries = []entry{
	{errCertificate, "certificate-required", 401, 0, false,
		text{"A client certificate is required", "Un certificat client est exigé"},
		text{"Connect with a certificate of the technical hierarchy.", "Connectez-vous avec un certificat de la hiérarchie technique."}},
	{errValidity, "certificate-validity", 401, 0, false,
		text{"The client certificate is not valid now", "Le certificat client n'est pas valide en ce moment"},
		text{"It has ended, or has not begun. Connect with a new one.", "Il a pris fin ou n'a pas commencé. Connectez-vous avec un nouveau."}},
	{errEnrolled, "not-enrolled", 403, 0, false,
		text{"The certificate opens no door", "Le certificat n'ouvre aucune porte"},
		text{"It is not enrolled, its enrolment ended, or it is revoked. Use another identity, and tell a security officer.",
			"Il n'est pas enrôlé, son enrôlement a pris fin ou il est révoqué. Demandez à un officier de sécurité d'en enrôler un nouveau."}},
	{errRole, "role", 403, 0, false,
		text{"Your role may not do this", "Votre rôle ne le permet pas"},
		text{"Use a certificate that is enrolled for this task.", "Utilisez un certificat enrôlé pour cette tâche."}},
	{errOrigin, "cross-origin", 403, 0, false,
		text{"A page of another site sent the request", "Une page d'un autre site a envoyé la requête"},
		text{"The doors take no requests from pages of other sites.", "Les portes n'acceptent pas les requêtes issues de pages d'autres sites."}},
	{errPath, "no-such-path", 404, 0, false,
		text{"No such path", "Ce chemin n'existe pas"},
		text{"The doors are described by /v1/openapi.yaml.", "Les portes sont décrites par /v1/openapi.yaml."}},
	{errMethod, "method", 405, 0, false,
		text{"The path does not take this method", "Le chemin n'accepte pas cette méthode"},
		text{"The header Allow names those that it takes.", "L'en-tête Allow nomme celles qu'il accepte."}},
	{errParameter, "parameter", 400, 0, true,
		text{"A parameter is wrong", "Un paramètre est faux"},
		text{"Correct it; /v1/openapi.yaml describes it.", "Corrigez-le ; /v1/openapi.yaml le décrit."}},
	{errMedia, "media-type", 415, 0, false,
		text{"The body is not JSON", "Le corps n'est pas du JSON"},
		text{"Send application/json.", "Envoyez application/json."}},
	{errBodySize, "body-size", 413, 0, false,
		text{"The body is too large", "Le corps est trop grand"},
		text{"Send at most 64 KiB.", "Envoyez au plus 64 Kio."}},
	{errBodyEnd, "body-ended", 400, 0, true, // without its cause, see bodyEnd
		text{"The body ended early", "Le corps s'est interrompu"},
		text{"What was received whole was processed. Sending everything again is safe.", "Ce qui a été reçu en entier a été traité. Tout renvoyer est sans danger."}},
	{errBody, "body", 400, 0, true,
		text{"The body is wrong", "Le corps est faux"},
		text{"Correct it; /v1/openapi.yaml describes it.", "Corrigez-le ; /v1/openapi.yaml le décrit."}},
	{errLineSize, "line-size", 413, 0, false,
		text{"The line is too long", "La ligne est trop longue"},
		text{"A line has at most 64 KiB. It was passed over; the others go on.", "Une ligne a au plus 64 Kio. Elle a été ignorée ; les autres continuent."}},
	{errLine, "line", 400, 0, true,
		text{"The line is wrong", "La ligne est fausse"},
		text{"Correct it and send it again; the others go on.", "Corrigez-la et renvoyez-la ; les autres continuent."}},
	{card.ErrQuota, "quota", 429, 3600, false,
		text{"The quota is used up", "Le quota est épuisé"},
		text{"What may be given in this hour or day was given: a bureau's orders, or the ten responder certificates of a status node. Ask again after the time named.", "Ce qui peut être donné dans cette heure ou ce jour l'a été : les ordres d'un bureau, ou les dix certificats de répondeur d'un nœud de statut. Redemandez après le délai indiqué."}},
	{errRefused, "refused", 422, 0, false,
		text{"The profile refuses this certificate", "Le profil refuse ce certificat"},
		text{"What the register or the request says cannot be certified. An officer finds the cause under the incident number.",
			"Ce que disent le registre ou la demande ne peut être certifié. Un officier trouve la cause sous le numéro d'incident."}},
	{errUnavailable, "unavailable", 503, 5, false,
		text{"The authority cannot answer now", "L'autorité ne peut répondre maintenant"},
		text{"Nothing was answered. Send the same again in a while.", "Rien n'a été répondu. Renvoyez la même chose dans un moment."}},
	{errInternal, "internal", 500, 0, false,
		text{"The authority failed", "L'autorité a failli"},
		text{"Give the incident number to the operator.", "Donnez le numéro d'incident à l'exploitant."}},
}

var authorityEntries = []entry{
	{ca.ErrBusy, "busy", 503, 1, false,
		text{"The authority is busy", "L'autorité est occupée"},
		text{"Send the same again in a while.", "Renvoyez la même chose dans un moment."}},
	{ca.ErrStopped, "issuer-stopped", 503, 300, false,
		text{"The issuer is stopped", "L'émetteur est arrêté"},
		text{"Its signatures did not verify. Tell the operator; what was sent may be sent again once it works.",
			"Ses signatures ne se vérifient pas. Prévenez l'exploitant ; la demande pourra être renvoyée une fois l'émetteur rétabli."}},
	{ca.ErrAbandoned, "abandoned", 503, 5, false,
		text{"The attempt was abandoned", "La tentative a été abandonnée"},
		text{"No certificate was made. Send the same again.", "Aucun certificat n'a été émis. Renvoyez la même chose."}},
	{ca.ErrSignature, "signature", 503, 5, false,
		text{"The signature did not verify", "La signature ne se vérifie pas"},
		text{"No certificate was made. Send the same again.", "Aucun certificat n'a été émis. Renvoyez la même chose."}},
	{card.ErrNoSpace, "space", 503, 300, false,
		text{"The disk of the ledger is nearly full", "Le disque du registre est presque plein"},
		text{"No certificates are made until there is room; cards are revoked as ever. Send the same again later.", "Aucun certificat n'est émis avant qu'il y ait de la place ; les révocations continuent. Renvoyez la même chose plus tard."}},
	{card.ErrFenced, "taken-over", 503, 30, false,
		text{"Another process has taken over", "Un autre processus a pris le relais"},
		text{"Connect again in a while.", "Reconnectez-vous dans un moment."}},
	{card.ErrSerialTaken, "serial-taken", 503, 1, false,
		text{"The serial was used before", "Le numéro de série a déjà servi"},
		text{"No certificate was made. Send the same again.", "Aucun certificat n'a été émis. Renvoyez la même chose."}},
	{card.ErrStale, "changed-meanwhile", 409, 1, false,
		text{"It changed meanwhile", "L'état a changé entre-temps"},
		text{"Read it again, then decide again.", "Relisez-le, puis décidez à nouveau."}},
	{ca.ErrConfig, "configuration", 500, 0, false,
		text{"The authority is not configured for this", "L'autorité n'est pas configurée pour cela"},
		text{"Tell the operator.", "Prévenez l'exploitant."}},
	{ca.ErrIssuer, "issuer-unknown", 404, 0, false,
		text{"No such issuer", "Cet émetteur n'existe pas"},
		text{"The issuers are listed by /v1/issuers.", "Les émetteurs sont listés par /v1/issuers."}},
}

var orderEntries = []entry{
	{card.ErrLiveCard, "live-card", 409, 0, false,
		text{"The holder already has a live card", "Le titulaire a déjà une carte en service"},
		text{"One person has one card. Report its loss, or order a renewal.", "Une personne a une seule carte. Déclarez sa perte ou commandez un renouvellement."}},
	{card.ErrWaitingCard, "waiting-card", 409, 0, false,
		text{"A card is already on its way", "Une carte est déjà en route"},
		text{"Wait for it, or report that it did not arrive.", "Attendez-la, ou déclarez qu'elle n'est pas arrivée."}},
	{card.ErrNoLiveCard, "no-live-card", 409, 0, false,
		text{"There is no live card to renew", "Il n'y a pas de carte en service à renouveler"},
		text{"Order a first card or a replacement.", "Commandez une première carte ou un remplacement."}},
	{lifecycle.ErrWhy, "why", 422, 0, true,
		text{"The reason of the order does not fit", "Le motif de la commande ne convient pas"},
		text{"It is first, renewal or replacement; a replacement follows a card that ended.",
			"Il est first, renewal ou replacement ; un remplacement suit une carte qui a pris fin."}},
	{errNoBureau, "no-such-bureau", 422, 0, false,
		text{"There is no such bureau", "Ce bureau n'existe pas"},
		text{"Name a bureau that has an enrolled certificate, or none for the usual one.",
			"Nommez un bureau qui a un certificat enrôlé, ou aucun pour le bureau habituel."}},
	{lifecycle.ErrEnvironment, "environment", 422, 0, false,
		text{"This house does not certify that person", "Cette autorité ne certifie pas cette personne"},
		text{"A test house certifies fictitious people alone (numbers 997…), a production house none of them.",
			"Une autorité de test ne certifie que des personnes fictives (numéros 997…), une autorité de production n'en certifie aucune."}},
	{lifecycle.ErrProfession, "profession", 422, 0, true,
		text{"The order must name one profession", "La commande doit nommer une profession"},
		text{"Give the code of the profession in table G15.", "Donnez le code de la profession dans la table G15."}},
	{card.ErrNotReady, "not-ready", 409, 0, true,
		text{"The order is not ready", "La commande n'est pas prête"},
		text{"Something is missing that the bureau cannot give, such as the postal address. Import it, then send the line again.",
			"Il manque ce que le bureau ne peut donner, comme l'adresse postale. Importez-la, puis renvoyez la ligne."}},
	{card.ErrOrderUnknown, "order-unknown", 404, 0, false,
		text{"No such order for this bureau", "Ce bureau n'a pas cette commande"},
		text{"Fetch the orders from /v1/orders/ready.", "Prenez les commandes à /v1/orders/ready."}},
	{card.ErrOrderClosed, "order-closed", 409, 0, false,
		text{"The order is closed", "La commande est close"},
		text{"It authorises no card any more.", "Elle n'autorise plus de carte."}},
	{card.ErrOrderBound, "order-bound", 409, 0, false,
		text{"The order is bound to another card or other keys", "La commande est liée à une autre carte ou à d'autres clés"},
		text{"Send the same card and keys as before, or report that card spoiled first.", "Renvoyez la même carte et les mêmes clés, ou déclarez d'abord cette carte gâchée."}},
	{card.ErrInFlight, "in-flight", 409, 1, false,
		text{"The order is being answered right now", "La commande est en cours de traitement"},
		text{"Send the same again in a while.", "Renvoyez la même chose dans un moment."}},
}

var applicationEntries = []entry{
	{ca.ErrIncomplete, "incomplete", 422, 0, true,
		text{"A proof of possession is missing", "Il manque une preuve de possession"},
		text{"Send a request, or a public key with its proof, for authentication and for signature.",
			"Envoyez une demande, ou une clé publique avec sa preuve, pour l'authentification et pour la signature."}},
	{ca.ErrTwoProofs, "two-proofs", 422, 0, true,
		text{"There are two proofs of possession for one key", "Il y a deux preuves de possession pour une clé"},
		text{"Send either csr, or public_key and proof.", "Envoyez soit csr, soit public_key et proof."}},
	{ca.ErrKey, "key", 422, 0, true,
		text{"The public key is refused", "La clé publique est refusée"},
		text{"Make a key of an accepted kind and size on the card.", "Générez dans la carte une clé d'un type et d'une taille acceptés."}},
	{ca.ErrRequest, "request", 422, 0, true,
		text{"The certification request is malformed", "La demande de certification est mal formée"},
		text{"Send a PKCS#10 request (RFC 2986) in PEM or in base64 of its DER.", "Envoyez une demande PKCS#10 (RFC 2986) en PEM ou en base64 de son DER."}},
	{ca.ErrProof, "proof", 422, 0, true,
		text{"The proof of possession does not verify", "La preuve de possession ne se vérifie pas"},
		text{"Sign the request with the key that it carries; a detached proof, over this order, card, use, key and challenge.",
			"Signez la demande avec la clé qu'elle porte ; une preuve détachée, sur cette commande, cette carte, cet usage, cette clé et ce défi."}},
	{ca.ErrChallenge, "challenge", 422, 0, true,
		text{"The request carries another challenge", "La demande porte un autre défi"},
		text{"Each request carries the challenge of this order for its use, as challengePassword (RFC 2985 §5.4.1).",
			"Chaque demande porte le défi de cette commande pour son usage, en challengePassword (RFC 2985 §5.4.1)."}},
	{card.ErrKeyKnown, "key-known", 409, 0, false,
		text{"The public key was seen before", "La clé publique a déjà été vue"},
		text{"Keys are used once, for ever. Make a new one.", "Une clé ne sert qu'une fois, pour toujours. Générez-en une nouvelle."}},
	{card.ErrNumberTaken, "number-taken", 409, 0, false,
		text{"The card number belongs to another card", "Le numéro de carte appartient à une autre carte"},
		text{"Numbers are unique for ever. Use another card.", "Les numéros sont uniques pour toujours. Utilisez une autre carte."}},
	{card.ErrNumber, "card-number", 400, 0, false,
		text{"The card number is wrong", "Le numéro de carte est faux"},
		text{"It is ten decimal digits.", "Il a dix chiffres décimaux."}},
}

var cardEntries = []entry{
	{card.ErrUnknownHolder, "holder-unknown", 404, 0, false,
		text{"No such number in the register", "Ce numéro n'est pas dans le registre"},
		text{"No number in the register, no card. Check the number, or import the register.", "Pas de numéro au registre, pas de carte. Vérifiez le numéro ou importez le registre."}},
	{card.ErrNotFound, "not-found", 404, 0, false,
		text{"Not found", "Introuvable"},
		text{"The ledger has nothing of that name.", "Le grand livre n'a rien de ce nom."}},
	{errTransition, "transition", 409, 0, true,
		text{"The card cannot do that in its state", "L'état de la carte ne le permet pas"},
		text{"Read the card's state.", "Consultez l'état de la carte."}},
	{lifecycle.ErrCircumstance, "circumstance", 422, 0, false,
		text{"No such circumstance of a loss", "Cette circonstance de perte n'existe pas"},
		text{"It is lost, stolen, codes-disclosed, damaged or not-received.", "C'est lost, stolen, codes-disclosed, damaged ou not-received."}},
	{lifecycle.ErrHappened, "happened", 422, 0, false,
		text{"A loss cannot happen after it is reported", "Une perte ne peut suivre sa déclaration"},
		text{"Correct the moment of the loss, or leave it out.", "Corrigez le moment de la perte, ou ne l'indiquez pas."}},
	{lifecycle.ErrBureau, "bureau", 404, 0, false,
		text{"No such card of this bureau", "Ce bureau n'a pas cette carte"},
		text{"A bureau speaks of its own cards alone.", "Un bureau ne parle que de ses propres cartes."}},
}

var (
	entitlement = text{"The card cannot be ordered or activated. If the register is wrong, its source corrects it.",
		"La carte ne peut être commandée ni activée. Si le registre se trompe, sa source le corrige."}
	identifier = text{"Give the type digit and the identifier, for example 8 and the eleven digits of an RPPS number.",
		"Donnez le chiffre du type et l'identifiant, par exemple 8 et les onze chiffres d'un numéro RPPS."}
)

var registryEntries = []entry{
	{registry.ErrDeceased, "deceased", 422, 0, true, text{"The person is deceased", "La personne est décédée"}, entitlement},
	{registry.ErrStruckOff, "struck-off", 422, 0, true, text{"The person is struck off", "La personne est radiée"}, entitlement},
	{registry.ErrSuspended, "suspended", 422, 0, true, text{"The person is suspended", "La personne est suspendue"}, entitlement},
	{registry.ErrRetired, "retired", 422, 0, true, text{"The person is retired", "La personne est retraitée"}, entitlement},
	{registry.ErrProfessionNotHeld, "profession-not-held", 422, 0, true,
		text{"The person does not hold the profession", "La personne n'exerce pas la profession"}, entitlement},
	{registry.ErrIncompleteAddress, "address", 409, 0, true,
		text{"The postal address is incomplete", "L'adresse postale est incomplète"},
		text{"Import the contact with its address.", "Importez le contact avec son adresse."}},
	{registry.ErrForeignFile, "foreign-file", 422, 0, true,
		text{"The file is not of this format", "Le fichier n'est pas de ce format"},
		text{"Nothing of it was taken. Check that it is the file that this door expects.", "Rien n'en a été pris. Vérifiez que c'est le fichier que cette porte attend."}},
	{registry.ErrRPPSLength, "rpps-length", 400, 0, false, text{"The RPPS number does not have 11 digits", "Le numéro RPPS n'a pas 11 chiffres"}, identifier},
	{registry.ErrRPPSDigit, "rpps-digit", 400, 0, false, text{"The RPPS number holds something else than digits", "Le numéro RPPS contient autre chose que des chiffres"}, identifier},
	{registry.ErrRPPSKey, "rpps-key", 400, 0, false, text{"The RPPS number has a wrong key", "Le numéro RPPS a une clé fausse"}, identifier},
	{registry.ErrIDEmpty, "id-empty", 400, 0, false, text{"The national identifier is missing", "L'identifiant national manque"}, identifier},
	{registry.ErrIDKind, "id-kind", 400, 0, false, text{"No card carries an identifier of this type", "Aucune carte ne porte un identifiant de ce type"}, identifier},
	{registry.ErrIDShape, "id-shape", 400, 0, false, text{"The identifier does not have the shape of its type", "L'identifiant n'a pas la forme de son type"}, identifier},
}
