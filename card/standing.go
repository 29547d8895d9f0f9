package card

// Standing is how the ledger stands, for those who watch it.
type Standing struct {
	Journal int64  // the last event
	Feed    uint64 // the last record
	Open    int    // attempts under way
	Commits int64  // since the ledger was opened; one may hold several decisions
	File    int64  // octets of the ledger on its disk
	Log     int64  // octets of its write-ahead log, 0 where there is none of its own
	Free    int64  // octets that are free on its disk; -1 if unknown
	Issuing bool   // false: too little is free for new certificates
	Quotas  []QuotaUse
}

// QuotaUse is what a bureau was given in the current hour or day.
type QuotaUse struct {
	Bureau string
	Period string // "hour" or "day"
	Used   int
	Bound  int // 0: none
}
