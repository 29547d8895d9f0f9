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
