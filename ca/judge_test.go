package ca_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
)

// rows asks the ledger a question whose answer is one number.
func (h *house) rows(query string, args ...any) int {
	h.t.Helper()
	db := must(sql.Open("sqlite3", "file:"+h.path+"?mode=ro"))(h.t)
	defer db.Close()
	var n int
	err := db.QueryRow(query, args...).Scan(&n)
	if err != nil {
		h.t.Fatalf("%s: %v", query, err)
	}
	return n
}

// judge holds the promises of the protocol against what is on disk and what the
// signer saw.
func (h *house) judge() {
	h.t.Helper()
	for promise, query := range map[string]string{
		"an intent is neither recorded nor abandoned":          "SELECT COUNT(*) FROM intents i WHERE NOT EXISTS (SELECT 1 FROM certificates c WHERE c.intent = i.number) AND NOT EXISTS (SELECT 1 FROM revocations r WHERE r.issuer = i.issuer AND r.serial = i.serial AND r.status = 'revoked' AND r.reason = 0 AND r.cause = 'abandoned')",
		"an attempt is open":                                   "SELECT COUNT(*) FROM attempts WHERE state = 'intent'",
		"a recorded intent has no certificate":                 "SELECT COUNT(*) FROM intents i JOIN attempts a ON a.order_id = i.order_id AND a.attempt = i.attempt WHERE a.state = 'recorded' AND NOT EXISTS (SELECT 1 FROM certificates c WHERE c.intent = i.number)",
		"an abandoned intent has a certificate":                "SELECT COUNT(*) FROM intents i JOIN attempts a ON a.order_id = i.order_id AND a.attempt = i.attempt WHERE a.state = 'abandoned' AND EXISTS (SELECT 1 FROM certificates c WHERE c.intent = i.number)",
		"an abandoned intent is not revoked for ever":          "SELECT COUNT(*) FROM intents i JOIN attempts a ON a.order_id = i.order_id AND a.attempt = i.attempt WHERE a.state = 'abandoned' AND NOT EXISTS (SELECT 1 FROM revocations r WHERE r.issuer = i.issuer AND r.serial = i.serial AND r.status = 'revoked' AND r.reason = 0 AND r.cause = 'abandoned')",
		"a card that was not spoiled has not two certificates": "SELECT COUNT(*) FROM cards k WHERE state NOT IN ('ordered', 'cancelled') AND NOT (state = 'spoiled' AND (SELECT COUNT(*) FROM certificates c WHERE c.card_id = k.id) = 0) AND (SELECT COUNT(*) FROM certificates c WHERE c.card_id = k.id) <> 2",
		"a recorded order is answered twice":                   "SELECT COUNT(*) FROM (SELECT order_id FROM attempts WHERE state = 'recorded' GROUP BY order_id HAVING COUNT(*) > 1)",
	} {
		n := h.rows(query)
		if n != 0 {
			h.t.Errorf("%s: %d times", promise, n)
		}
	}
	h.judgeSignatures()
	_, err := h.db.VerifyJournal(context.Background(), nil)
	if err != nil {
		h.t.Errorf("the journal does not verify: %v", err)
	}
}

// judgeSignatures: nothing was signed twice, and nothing that is no intent.
func (h *house) judgeSignatures() {
	h.t.Helper()
	db := must(sql.Open("sqlite3", "file:"+h.path+"?mode=ro"))(h.t)
	defer db.Close()
	rows := must(db.Query("SELECT tbs FROM intents"))(h.t)
	defer rows.Close()
	intended := map[string]bool{}
	for rows.Next() {
		var tbs []byte
		err := rows.Scan(&tbs)
		if err != nil {
			h.t.Fatal(err)
		}
		digest := sha256.Sum256(tbs)
		intended[string(digest[:])] = true
		intended[string(tbs)] = true // what an Ed25519 key is given
	}
	h.signer.mu.Lock()
	defer h.signer.mu.Unlock()
	for digest, times := range h.signer.digests {
		if times != 1 {
			h.t.Errorf("a TBSCertificate was signed %d times", times)
		}
		if !intended[digest] {
			h.t.Errorf("something was signed that was never intended")
		}
	}
}
