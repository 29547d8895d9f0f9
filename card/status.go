package card

import (
	"fmt"
	"time"
)

// Status is what the world is told of a certificate serial.
type Status string

// The statuses of a serial. Intended is a durable intent whose certificate may
// not exist: nobody is told anything of it.
const (
	StatusIntended Status = "intended"
	StatusGood     Status = "good"
	StatusHeld     Status = "held"
	StatusRevoked  Status = "revoked"
)

// Reason is a CRLReason of RFC 5280 §5.3.1.
type Reason int

// The reasons in use. Unspecified is never encoded (RFC 5280 §5.3.1).
const (
	Unspecified          Reason = 0
	KeyCompromise        Reason = 1
	AffiliationChanged   Reason = 3
	Superseded           Reason = 4
	CessationOfOperation Reason = 5
	CertificateHold      Reason = 6
	PrivilegeWithdrawn   Reason = 9
)

// String returns the name that RFC 5280 gives the reason.
func (r Reason) String() string {
	switch r {
	case Unspecified:
		return "unspecified"
	case KeyCompromise:
		return "keyCompromise"
	case AffiliationChanged:
		return "affiliationChanged"
	case Superseded:
		return "superseded"
	case CessationOfOperation:
		return "cessationOfOperation"
	case CertificateHold:
		return "certificateHold"
	case PrivilegeWithdrawn:
		return "privilegeWithdrawn"
	}
	return fmt.Sprintf("reason %d", int(r))
}

// Circumstance is what a loss report declares. Reasons are never chosen by
// hand: they follow from the circumstance.
type Circumstance string

// The circumstances of a loss report.
const (
	Lost           Circumstance = "lost"
	Stolen         Circumstance = "stolen"
	CodesDisclosed Circumstance = "codes-disclosed"
	Damaged        Circumstance = "damaged"
	NotReceived    Circumstance = "not-received"
)

// Circumstances lists what a loss report may declare.
var Circumstances = [...]Circumstance{Lost, Stolen, CodesDisclosed, Damaged, NotReceived}

// Reason returns the revocation reason of a circumstance; ok is false for a
// circumstance that is not in the table.
func (c Circumstance) Reason() (reason Reason, ok bool) {
	switch c {
	case Lost, Stolen, CodesDisclosed, NotReceived:
		return KeyCompromise, true
	case Damaged:
		return CessationOfOperation, true
	}
	return Unspecified, false
}

// Gate says when the certificates of a new card become good.
type Gate string

// The two gates. With GateChip certificates are good when recorded and the
// chip is locked by its transport code; with GateHold they stay on hold until
// the holder activates the card.
const (
	GateChip Gate = "chip"
	GateHold Gate = "hold"
)

// Cause says why a serial stands in the table of revocations.
type Cause string

// The causes. CauseGate is the hold of a card that nobody activated yet;
// CauseAbandoned an attempt whose outcome is not a verified certificate.
const (
	CauseGate      Cause = "gate"
	CauseCard      Cause = "card"
	CauseAbandoned Cause = "abandoned"
)

// Revocation is one serial that is, or was while held, not good.
type Revocation struct {
	Issuer     KeyID
	Serial     Serial
	Status     Status    // StatusHeld, StatusRevoked, or StatusGood for a released hold
	Since      time.Time // UTC, second precision; a hold that becomes a revocation keeps its date
	Reason     Reason
	Invalidity time.Time // declared moment of the loss, zero if unknown (RFC 5280 §5.3.2)
	NotAfter   time.Time // end of the certificate's validity, inclusive
	Cause      Cause
}
