-- The vault itself. One row.
CREATE TABLE root (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    vault BLOB NOT NULL,
    created INTEGER NOT NULL,
    check_value BLOB NOT NULL,
    generation INTEGER NOT NULL,
    salt BLOB NOT NULL,
    sum BLOB NOT NULL,
    head_sum BLOB NOT NULL,
    mac BLOB NOT NULL
) STRICT;

-- The keyring. The master key is not in it.
CREATE TABLE keys (
    id INTEGER PRIMARY KEY,
    purpose TEXT NOT NULL,
    state TEXT NOT NULL,
    created INTEGER NOT NULL,
    uses INTEGER NOT NULL,
    nonce BLOB NOT NULL,
    wrapped BLOB NOT NULL,
    mac BLOB NOT NULL
) STRICT;

-- Tables without an index beside them: an index could be made to hide rows.
CREATE TABLE secrets (
    id TEXT PRIMARY KEY,
    key TEXT NOT NULL,
    pattern TEXT NOT NULL,
    scope TEXT NOT NULL,
    options TEXT NOT NULL,
    current INTEGER NOT NULL,
    versions TEXT NOT NULL,
    created INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    mac BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE versions (
    secret TEXT NOT NULL REFERENCES secrets (id),
    number INTEGER NOT NULL,
    created INTEGER NOT NULL,
    ends INTEGER,
    data_key INTEGER REFERENCES keys (id),
    nonce BLOB,
    sealed BLOB,
    mac BLOB NOT NULL,
    PRIMARY KEY (secret, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE assignments (
    secret TEXT NOT NULL REFERENCES secrets (id),
    agent TEXT NOT NULL,
    created INTEGER NOT NULL,
    mac BLOB NOT NULL,
    PRIMARY KEY (secret, agent)
) STRICT, WITHOUT ROWID;

-- How far each audit log is.
CREATE TABLE heads (
    log TEXT PRIMARY KEY,
    seq INTEGER NOT NULL,
    head BLOB NOT NULL,
    mac BLOB NOT NULL
) STRICT, WITHOUT ROWID;
