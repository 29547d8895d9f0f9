-- The ledger on PostgreSQL: the same tables, columns and keys as on SQLite. Times
-- are milliseconds since 1970 UTC, octets are BYTEA, absent values are NULL and
-- never a sentinel.
-- +goose Up

CREATE TABLE epochs (
    epoch   BIGINT NOT NULL PRIMARY KEY,
    started BIGINT NOT NULL
);

CREATE TABLE imports (
    id       BIGINT NOT NULL PRIMARY KEY,
    kind     TEXT   NOT NULL,
    file     TEXT   NOT NULL,
    actor    TEXT   NOT NULL,
    started  BIGINT NOT NULL,
    finished BIGINT,
    sha256   TEXT,
    accepted BIGINT,
    rejected BIGINT
);

CREATE TABLE persons (
    id          TEXT   NOT NULL PRIMARY KEY,
    civility    TEXT   NOT NULL,
    exercise_civility TEXT NOT NULL,
    family_name TEXT   NOT NULL,
    given_name  TEXT   NOT NULL,
    import_id   BIGINT NOT NULL
);

CREATE TABLE practices (
    person     TEXT   NOT NULL,
    profession BIGINT NOT NULL,
    category   TEXT   NOT NULL,
    import_id  BIGINT NOT NULL,
    PRIMARY KEY (person, profession, category)
);

CREATE TABLE register_events (
    person    TEXT   NOT NULL,
    kind      TEXT   NOT NULL,
    date      BIGINT NOT NULL,
    source    TEXT   NOT NULL,
    import_id BIGINT NOT NULL,
    PRIMARY KEY (person, kind, date)
);

CREATE TABLE contacts (
    person     TEXT   NOT NULL PRIMARY KEY,
    recipient  TEXT   NOT NULL,
    complement TEXT   NOT NULL,
    street     TEXT   NOT NULL,
    locality   TEXT   NOT NULL,
    postcode   TEXT   NOT NULL,
    city       TEXT   NOT NULL,
    country    TEXT   NOT NULL,
    phone      TEXT   NOT NULL,
    email      TEXT   NOT NULL,
    updated    BIGINT,
    import_id  BIGINT NOT NULL
);

CREATE TABLE enrolments (
    fingerprint BYTEA  NOT NULL PRIMARY KEY,
    person      TEXT   NOT NULL,
    role        TEXT   NOT NULL,
    bureau      TEXT   NOT NULL,
    issuer      BYTEA  NOT NULL,
    serial      BYTEA  NOT NULL,
    since       BIGINT NOT NULL,
    ended       BIGINT
);
CREATE INDEX enrolments_by_role ON enrolments (role);

CREATE TABLE issuers (
    key_id      BYTEA  NOT NULL PRIMARY KEY,
    name        TEXT   NOT NULL UNIQUE,
    role        TEXT   NOT NULL,
    certificate BYTEA  NOT NULL,
    since       BIGINT NOT NULL
);

CREATE TABLE orders (
    id                       TEXT   NOT NULL PRIMARY KEY,
    holder                   TEXT   NOT NULL,
    profession               BIGINT NOT NULL,
    type                     BIGINT NOT NULL,
    form                     TEXT   NOT NULL,
    why                      TEXT   NOT NULL CHECK (why IN ('first', 'renewal', 'replacement')),
    replaces                 TEXT,
    bureau                   TEXT   NOT NULL,
    state                    TEXT   NOT NULL CHECK (state IN ('open', 'fulfilled', 'closed')),
    challenge_authentication TEXT   NOT NULL,
    challenge_signature      TEXT   NOT NULL,
    created                  BIGINT NOT NULL
);
CREATE INDEX orders_by_bureau ON orders (bureau, state, created, id);
CREATE INDEX orders_by_time ON orders (created, id);

CREATE TABLE cards (
    id         BIGINT NOT NULL PRIMARY KEY,
    order_id   TEXT   NOT NULL REFERENCES orders (id),
    number     TEXT   UNIQUE,
    holder     TEXT   NOT NULL,
    profession BIGINT NOT NULL,
    type       BIGINT NOT NULL,
    form       TEXT   NOT NULL,
    bureau     TEXT   NOT NULL,
    state      TEXT   NOT NULL CHECK (state IN ('ordered', 'personalised', 'dispatched', 'active', 'held',
                                                'revoked', 'expired', 'replaced', 'spoiled', 'cancelled')),
    since      BIGINT NOT NULL,
    created    BIGINT NOT NULL,
    expires    BIGINT,
    activated  BIGINT
);
CREATE INDEX cards_by_order ON cards (order_id);
CREATE INDEX cards_by_holder ON cards (holder);
-- The law, a second time: see the package card.
CREATE UNIQUE INDEX cards_one_live ON cards (holder, profession, form) WHERE state IN ('active', 'held');
CREATE UNIQUE INDEX cards_one_waiting ON cards (holder, profession, form) WHERE state IN ('ordered', 'personalised', 'dispatched');

CREATE TABLE card_steps (
    card_id BIGINT NOT NULL REFERENCES cards (id),
    journal BIGINT NOT NULL,
    event   TEXT   NOT NULL,
    origin  TEXT,
    outcome TEXT   NOT NULL,
    actor   TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (card_id, journal, event)
);

-- How many intents each bureau was given in each hour and day of UTC.
CREATE TABLE quotas (
    bureau TEXT   NOT NULL,
    period TEXT   NOT NULL CHECK (period IN ('hour', 'day')),
    start  BIGINT NOT NULL,
    used   BIGINT NOT NULL,
    PRIMARY KEY (bureau, period, start)
);

CREATE TABLE keys (
    fingerprint BYTEA  NOT NULL PRIMARY KEY,
    card_id     BIGINT,
    use         TEXT   NOT NULL,
    since       BIGINT NOT NULL
);
CREATE UNIQUE INDEX keys_by_card ON keys (card_id, use) WHERE card_id IS NOT NULL;

CREATE TABLE attempts (
    order_id  TEXT   NOT NULL REFERENCES orders (id),
    attempt   BIGINT NOT NULL,
    card_id   BIGINT NOT NULL REFERENCES cards (id),
    requester TEXT   NOT NULL,
    epoch     BIGINT NOT NULL,
    state     TEXT   NOT NULL CHECK (state IN ('intent', 'recorded', 'abandoned', 'spoiled')),
    opened    BIGINT NOT NULL,
    closed    BIGINT,
    PRIMARY KEY (order_id, attempt)
);
CREATE INDEX attempts_intent ON attempts (epoch, order_id) WHERE state = 'intent';
CREATE UNIQUE INDEX attempts_one_open ON attempts (order_id) WHERE state IN ('intent', 'recorded');

-- Written once: what became of an intent is in attempts, certificates and
-- revocations.
CREATE TABLE intents (
    number          BIGINT NOT NULL PRIMARY KEY,
    issuer          BYTEA  NOT NULL,
    serial          BYTEA  NOT NULL,
    order_id        TEXT,
    attempt         BIGINT,
    use             TEXT   NOT NULL,
    subject         TEXT   NOT NULL,
    profile         TEXT   NOT NULL,
    profile_version BIGINT NOT NULL,
    profile_hash    BYTEA  NOT NULL,
    key_fingerprint BYTEA  NOT NULL REFERENCES keys (fingerprint),
    not_before      BIGINT NOT NULL,
    not_after       BIGINT NOT NULL,
    tbs             BYTEA  NOT NULL,
    epoch           BIGINT NOT NULL,
    UNIQUE (issuer, serial)
);
CREATE UNIQUE INDEX intents_by_attempt ON intents (order_id, attempt, use) WHERE order_id IS NOT NULL;
CREATE INDEX intents_of_infrastructure ON intents (key_fingerprint) WHERE order_id IS NULL;

CREATE TABLE certificates (
    intent    BIGINT NOT NULL PRIMARY KEY REFERENCES intents (number),
    card_id   BIGINT,
    signature BYTEA  NOT NULL,
    recorded  BIGINT NOT NULL
);
CREATE INDEX certificates_by_card ON certificates (card_id) WHERE card_id IS NOT NULL;

CREATE TABLE revocations (
    issuer     BYTEA  NOT NULL,
    serial     BYTEA  NOT NULL,
    status     TEXT   NOT NULL CHECK (status IN ('held', 'revoked', 'good')),
    since      BIGINT NOT NULL,
    reason     BIGINT NOT NULL,
    invalidity BIGINT,
    not_after  BIGINT NOT NULL,
    cause      TEXT   NOT NULL CHECK (cause IN ('gate', 'card', 'abandoned')),
    PRIMARY KEY (issuer, serial)
);

CREATE TABLE loss_reports (
    id           BIGINT NOT NULL PRIMARY KEY,
    card_id      BIGINT NOT NULL REFERENCES cards (id),
    circumstance TEXT   NOT NULL,
    happened     BIGINT,
    received     BIGINT NOT NULL,
    committed    BIGINT NOT NULL,
    reporter     TEXT   NOT NULL
);
CREATE INDEX loss_reports_by_card ON loss_reports (card_id);

CREATE TABLE feed (
    sequence  BIGINT NOT NULL PRIMARY KEY,
    issuer    BYTEA  NOT NULL,
    serial    BYTEA  NOT NULL,
    not_after BIGINT NOT NULL,
    status    TEXT   NOT NULL,
    at        BIGINT NOT NULL,
    reason    BIGINT NOT NULL,
    hash      BYTEA  NOT NULL
);

CREATE TABLE crls (
    issuer        BYTEA  NOT NULL,
    number        BIGINT NOT NULL,
    this_update   BIGINT NOT NULL,
    next_update   BIGINT NOT NULL,
    feed_sequence BIGINT,
    sha256        BYTEA,
    published     BIGINT,
    PRIMARY KEY (issuer, number)
);

CREATE TABLE journal (
    sequence BIGINT NOT NULL PRIMARY KEY,
    time     BIGINT NOT NULL,
    actor    TEXT   NOT NULL,
    action   TEXT   NOT NULL,
    leaves   BYTEA  NOT NULL,
    previous BYTEA  NOT NULL,
    hash     BYTEA  NOT NULL
);

CREATE TABLE journal_leaves (
    event      BIGINT NOT NULL REFERENCES journal (sequence),
    position   BIGINT NOT NULL,
    commitment BYTEA  NOT NULL,
    PRIMARY KEY (event, position)
);

-- The only table from which rows may ever go (erasure): what it held stays
-- committed to in journal_leaves.
CREATE TABLE journal_clear (
    event    BIGINT NOT NULL,
    position BIGINT NOT NULL,
    subject  TEXT   NOT NULL,
    salt     BYTEA  NOT NULL,
    clear    BYTEA  NOT NULL,
    PRIMARY KEY (event, position)
);

-- Rows of up to a page stay in their page as they are: to compress octets that
-- look random, and leaves that nearly do, costs more than it saves.
ALTER TABLE intents SET (toast_tuple_target = 8160);
ALTER TABLE certificates SET (toast_tuple_target = 8160);
ALTER TABLE journal_clear SET (toast_tuple_target = 8160);
