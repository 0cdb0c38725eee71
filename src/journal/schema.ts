/** Format of a journal file; `docs/journal.md` describes it for readers in other languages. */
export const FORMAT = 5

/** `SpBr`, in the header of every journal: `file` and SQLite show it. */
export const APPLICATION_ID = 0x53704272

/**
 * Points are rows of `blocks`: `data` holds `count` values, steps and times as little-endian doubles and `count` series
 * ids as uint32, column after column; `first` is the sequence number of the first point (from 1).
 * `cursors.position` is the sequence number up to which a destination is served; `sending` the end of what was under way
 * when the row was written: a batch, or some that go one after the other. `heights` is the highest step of each metric
 * (under the destination's name for it) that is delivered: a stored point beyond it tells that a batch whose answer was
 * lost has arrived.
 * Spans are rows of `spans`: `data` holds `count` Span messages of OTLP as they came, each behind its tag and its length as
 * in a ScopeSpans; `first` is the sequence number of the first span. A `count` of 0 is of a format before 5: then `data` is
 * one message with nothing before it. `span_heads` holds what stood around spans: the fields of ResourceSpans but for its
 * scope_spans, and those of ScopeSpans but for its spans. `cursors.resent` counts what was sent again unasked.
 * `waiting` are numbers that wait for the spans around them: `span` (trace and span id as hex) names the span they belong
 * to, `part` the place of an event of it, or -1; a log record stands in `body`, as a request of OTLP.
 * `events` are those of level WARN and above; `fields` is a JSON object.
 */
const SPAN_HEADS_TABLE = `
CREATE TABLE span_heads (id INTEGER PRIMARY KEY, resource BLOB NOT NULL, scope BLOB NOT NULL, UNIQUE (resource, scope));
`

/** As format 2 had them. */
export const SPAN_TABLES_OF_2 = `${SPAN_HEADS_TABLE}
CREATE TABLE spans (sequence INTEGER PRIMARY KEY, head INTEGER NOT NULL REFERENCES span_heads, data BLOB NOT NULL);
`

/** What makes them those of format 5, however many there are. */
export const SPANS_AS_BLOCKS = `
ALTER TABLE spans RENAME COLUMN sequence TO first; ALTER TABLE spans ADD COLUMN count INTEGER NOT NULL DEFAULT 0;
`

export const WAITING_TABLE = `
CREATE TABLE waiting (
  id INTEGER PRIMARY KEY, since INTEGER NOT NULL, numbers INTEGER NOT NULL, span TEXT NOT NULL, part INTEGER NOT NULL, body BLOB);
`

export const EVENTS_TABLE = `
CREATE TABLE events (
  sequence INTEGER PRIMARY KEY, time INTEGER NOT NULL, level TEXT NOT NULL, target TEXT NOT NULL, message TEXT NOT NULL,
  step INTEGER, fields TEXT NOT NULL);
`

export const SCHEMA = `
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE series (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE);
CREATE TABLE blocks (first INTEGER PRIMARY KEY, count INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE params (sequence INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, value TEXT NOT NULL);
CREATE TABLE tags (sequence INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, value TEXT NOT NULL);
CREATE TABLE destinations (
  id INTEGER PRIMARY KEY, exporter TEXT NOT NULL, address TEXT NOT NULL, run_id TEXT, page TEXT,
  made INTEGER NOT NULL DEFAULT 0, making_since INTEGER, target TEXT NOT NULL DEFAULT '{}', state TEXT NOT NULL DEFAULT 'ok', last_error TEXT, ended INTEGER NOT NULL DEFAULT 0);
CREATE TABLE cursors (
  destination INTEGER NOT NULL REFERENCES destinations, kind TEXT NOT NULL, position INTEGER NOT NULL DEFAULT 0,
  delivered INTEGER NOT NULL DEFAULT 0, rejected INTEGER NOT NULL DEFAULT 0, evicted INTEGER NOT NULL DEFAULT 0,
  sending INTEGER NOT NULL DEFAULT 0, resent INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (destination, kind)) WITHOUT ROWID;
CREATE TABLE heights (
  destination INTEGER NOT NULL REFERENCES destinations, key TEXT NOT NULL, step INTEGER NOT NULL,
  PRIMARY KEY (destination, key)) WITHOUT ROWID;
CREATE TABLE reasons (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE rejected (
  id INTEGER PRIMARY KEY, destination INTEGER, kind TEXT NOT NULL, sequence INTEGER NOT NULL, name TEXT NOT NULL,
  step INTEGER, time INTEGER, value, reason INTEGER NOT NULL REFERENCES reasons);
${SPAN_HEADS_TABLE}
CREATE TABLE spans (
  first INTEGER PRIMARY KEY, count INTEGER NOT NULL, head INTEGER NOT NULL REFERENCES span_heads, data BLOB NOT NULL);
${WAITING_TABLE}${EVENTS_TABLE}`
