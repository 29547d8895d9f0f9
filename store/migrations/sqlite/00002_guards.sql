-- Nothing of the ledger is ever deleted, and what is written once stays as
-- written: on SQLite triggers say so (on PostgreSQL the grants of the roles do).
-- +goose Up
-- +goose StatementBegin
CREATE TRIGGER epochs_stay BEFORE DELETE ON epochs BEGIN SELECT RAISE(ABORT, 'rows of epochs are never deleted'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER issuers_stay BEFORE DELETE ON issuers BEGIN SELECT RAISE(ABORT, 'rows of issuers are never deleted'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER orders_stay BEFORE DELETE ON orders BEGIN SELECT RAISE(ABORT, 'rows of orders are never deleted'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER cards_stay BEFORE DELETE ON cards BEGIN SELECT RAISE(ABORT, 'rows of cards are never deleted'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER card_steps_stay BEFORE DELETE ON card_steps BEGIN SELECT RAISE(ABORT, 'rows of card_steps are never deleted'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER keys_stay BEFORE DELETE ON keys BEGIN SELECT RAISE(ABORT, 'rows of keys are never deleted'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER attempts_stay BEFORE DELETE ON attempts BEGIN SELECT RAISE(ABORT, 'rows of attempts are never deleted'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER intents_stay BEFORE DELETE ON intents BEGIN SELECT RAISE(ABORT, 'rows of intents are never deleted'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER certificates_stay BEFORE DELETE ON certificates BEGIN SELECT RAISE(ABORT, 'rows of certificates are never deleted'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER revocations_stay BEFORE DELETE ON revocations BEGIN SELECT RAISE(ABORT, 'rows of revocations are never deleted'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER loss_reports_stay BEFORE DELETE ON loss_reports BEGIN SELECT RAISE(ABORT, 'rows of loss_reports are never deleted'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER feed_stay BEFORE DELETE ON feed BEGIN SELECT RAISE(ABORT, 'rows of feed are never deleted'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER crls_stay BEFORE DELETE ON crls BEGIN SELECT RAISE(ABORT, 'rows of crls are never deleted'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER journal_stay BEFORE DELETE ON journal BEGIN SELECT RAISE(ABORT, 'rows of journal are never deleted'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER journal_leaves_stay BEFORE DELETE ON journal_leaves BEGIN SELECT RAISE(ABORT, 'rows of journal_leaves are never deleted'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER issuers_as_written BEFORE UPDATE ON issuers BEGIN SELECT RAISE(ABORT, 'rows of issuers are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER card_steps_as_written BEFORE UPDATE ON card_steps BEGIN SELECT RAISE(ABORT, 'rows of card_steps are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER keys_as_written BEFORE UPDATE ON keys BEGIN SELECT RAISE(ABORT, 'rows of keys are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER certificates_as_written BEFORE UPDATE ON certificates BEGIN SELECT RAISE(ABORT, 'rows of certificates are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER loss_reports_as_written BEFORE UPDATE ON loss_reports BEGIN SELECT RAISE(ABORT, 'rows of loss_reports are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER feed_as_written BEFORE UPDATE ON feed BEGIN SELECT RAISE(ABORT, 'rows of feed are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER journal_as_written BEFORE UPDATE ON journal BEGIN SELECT RAISE(ABORT, 'rows of journal are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER journal_leaves_as_written BEFORE UPDATE ON journal_leaves BEGIN SELECT RAISE(ABORT, 'rows of journal_leaves are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER imports_stay BEFORE DELETE ON imports BEGIN SELECT RAISE(ABORT, 'rows of imports are never deleted'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER enrolments_stay BEFORE DELETE ON enrolments BEGIN SELECT RAISE(ABORT, 'rows of enrolments are never deleted'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER epochs_as_written BEFORE UPDATE ON epochs BEGIN SELECT RAISE(ABORT, 'rows of epochs are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER quotas_stay BEFORE DELETE ON quotas BEGIN SELECT RAISE(ABORT, 'rows of quotas are never deleted'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER quotas_as_written BEFORE UPDATE OF bureau, period, start ON quotas BEGIN SELECT RAISE(ABORT, 'these columns of quotas are never changed'); END;
-- +goose StatementEnd
-- What changes in the other tables is their state; the rest is written once.
-- +goose StatementBegin
CREATE TRIGGER orders_as_written BEFORE UPDATE OF id, holder, profession, type, form, why, replaces, bureau, challenge_authentication, challenge_signature, created ON orders BEGIN SELECT RAISE(ABORT, 'these columns of orders are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER cards_as_written BEFORE UPDATE OF id, order_id, holder, profession, type, form, bureau, created ON cards BEGIN SELECT RAISE(ABORT, 'these columns of cards are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER attempts_as_written BEFORE UPDATE OF order_id, attempt, card_id, requester, epoch, opened ON attempts BEGIN SELECT RAISE(ABORT, 'these columns of attempts are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER intents_as_written BEFORE UPDATE ON intents BEGIN SELECT RAISE(ABORT, 'rows of intents are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER revocations_as_written BEFORE UPDATE OF issuer, serial, not_after ON revocations BEGIN SELECT RAISE(ABORT, 'these columns of revocations are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER crls_as_written BEFORE UPDATE OF issuer, number, this_update, next_update ON crls BEGIN SELECT RAISE(ABORT, 'these columns of crls are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER enrolments_as_written BEFORE UPDATE OF fingerprint, person, role, bureau, issuer, serial, since ON enrolments BEGIN SELECT RAISE(ABORT, 'these columns of enrolments are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER imports_as_written BEFORE UPDATE OF id, kind, file, actor, started ON imports BEGIN SELECT RAISE(ABORT, 'these columns of imports are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER revocations_for_ever BEFORE UPDATE ON revocations WHEN OLD.status = 'revoked' BEGIN SELECT RAISE(ABORT, 'a revocation is for ever'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER cards_numbered_once BEFORE UPDATE OF number ON cards WHEN OLD.number IS NOT NULL BEGIN SELECT RAISE(ABORT, 'a card keeps its number'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER cards_end_for_ever BEFORE UPDATE ON cards WHEN OLD.state IN ('revoked', 'expired', 'replaced', 'spoiled', 'cancelled') BEGIN SELECT RAISE(ABORT, 'a card that has ended stays as it is'); END;
-- +goose StatementEnd
