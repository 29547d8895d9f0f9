-- Nothing of the ledger is ever deleted, and what is written once stays as
-- written: on PostgreSQL the grants of the roles say so (on SQLite triggers do).
-- The role that migrates owns the tables. cpsca_authority, the role by which the
-- authority comes in, adds rows, reads them and changes the columns of their
-- state; cpsca_auditor reads. Nobody deletes, the owner neither, but for the clear
-- text of the journal.
-- +goose Up
GRANT USAGE ON SCHEMA public TO cpsca_authority, cpsca_auditor;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO cpsca_authority, cpsca_auditor;

GRANT INSERT ON epochs, imports, persons, practices, register_events, contacts, enrolments, issuers, orders, cards,
    card_steps, keys, quotas, attempts, intents, certificates, revocations, loss_reports, feed, crls,
    journal, journal_leaves, journal_clear TO cpsca_authority;

-- The registers of persons are what the last import says.
GRANT UPDATE (civility, exercise_civility, family_name, given_name, import_id) ON persons TO cpsca_authority;
GRANT UPDATE (import_id) ON practices TO cpsca_authority;
GRANT UPDATE (recipient, complement, street, locality, postcode, city, country, phone, email, updated, import_id) ON contacts TO cpsca_authority;

GRANT UPDATE (finished, sha256, accepted, rejected) ON imports TO cpsca_authority;
GRANT UPDATE (ended) ON enrolments TO cpsca_authority;
GRANT UPDATE (state) ON orders TO cpsca_authority;
GRANT UPDATE (state, since, expires, activated, number) ON cards TO cpsca_authority;
GRANT UPDATE (state, closed) ON attempts TO cpsca_authority;
GRANT UPDATE (used) ON quotas TO cpsca_authority;
GRANT UPDATE (status, since, reason, invalidity, cause) ON revocations TO cpsca_authority;
GRANT UPDATE (feed_sequence, sha256, published) ON crls TO cpsca_authority;

REVOKE DELETE, TRUNCATE ON ALL TABLES IN SCHEMA public FROM CURRENT_USER;
GRANT DELETE ON journal_clear TO CURRENT_USER;

-- What no grant can say: which states are final.
-- +goose StatementBegin
CREATE FUNCTION stays() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
END $body$;
-- +goose StatementEnd
CREATE TRIGGER revocations_for_ever BEFORE UPDATE ON revocations FOR EACH ROW
    WHEN (OLD.status = 'revoked') EXECUTE FUNCTION stays('a revocation is for ever');
CREATE TRIGGER cards_numbered_once BEFORE UPDATE OF number ON cards FOR EACH ROW
    WHEN (OLD.number IS NOT NULL) EXECUTE FUNCTION stays('a card keeps its number');
CREATE TRIGGER cards_end_for_ever BEFORE UPDATE ON cards FOR EACH ROW
    WHEN (OLD.state IN ('revoked', 'expired', 'replaced', 'spoiled', 'cancelled')) EXECUTE FUNCTION stays('a card that has ended stays as it is');
