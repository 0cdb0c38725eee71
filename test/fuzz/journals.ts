import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { gunzipSync } from 'node:zlib'
import { AuditedJournal } from '../../src/audit/journal.ts'
import { CHUNK_POINTS, columnsOf, POINT_BYTES } from '../../src/channel/chunk.ts'
import { DestinationAccount } from '../../src/delivery/account.ts'
import { newestSpans, nextBatch } from '../../src/delivery/batches.ts'
import { pointsOfBlock } from '../../src/journal/blocks.ts'
import { DamagedJournal } from '../../src/journal/damage.ts'
import { Identities } from '../../src/journal/identities.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { readStateDir } from '../../src/journal/status.ts'
import { COUNTERS } from '../../src/telemetry/counters.ts'
import type { Random } from '../simulation/random.ts'
import { runStart } from '../support/run-start.ts'
import { Broken, law, outcomeOf, type Outcome, type Target } from './target.ts'
import { TABLES } from '../support/journal-tables.ts'

/** Where files cost least: nothing here has to outlive the process. */
const ROOM = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

let directory: string | null = null
function room(): string {
  if (directory === null) {
    directory = mkdtempSync(join(ROOM, 'spanbridge-fuzz-'))
    process.on('exit', () => rmSync(directory!, { recursive: true, force: true }))
  }
  return directory
}

const clear = (path: string): void => {
  for (const end of ['', '-wal', '-shm', '-journal']) rmSync(path + end, { force: true })
}

/** A journal of this version with something in every table. */
function journalOfToday(): Buffer {
  const path = join(room(), 'seed.sqlite')
  clear(path)
  const journal = RunJournal.create(path, runStart({ identity: '{"service.name":"ppo"}' }))
  for (const [id, key] of ['trainer/loss', 'trainer/lr', 'misc/a'].entries()) journal.addSeries(id, key)
  for (const from of [0, 40]) {
    const buffer = new ArrayBuffer(CHUNK_POINTS * POINT_BYTES)
    const columns = columnsOf(buffer, CHUNK_POINTS)
    for (let i = 0; i < 40; i += 1) {
      columns.value[i] = i / 7
      columns.step[i] = from + i
      columns.time[i] = 1_700_000_000_000 + i
      columns.series[i] = i % 3
    }
    journal.addPoints(buffer, 40, new Float64Array(COUNTERS.length).fill(2))
    journal.commit(1_700_000_000_000)
  }
  journal.addHead(0, Buffer.from('0a00', 'hex'), Buffer.from('0a00', 'hex'))
  const span = Buffer.from('0a1000112233445566778899aabbccddeeff1208001122334455667722013a', 'hex')
  const ends = Uint32Array.of(span.length, 2 * span.length)
  journal.addSpans({ bytes: new Uint8Array(Buffer.concat([span, span])), ends, heads: Uint32Array.of(0, 0) })
  journal.addWaiting([{ id: 1, since: 5, numbers: 3, span: '00ff', part: -1, body: new Uint8Array([10, 0]) }])
  journal.addEvents([{ time: 5, level: 'ERROR', target: 'a', message: 'b', step: 1, fields: '{}' }])
  journal.addParams([['lr', '2']])
  journal.addExample('no_step', '{"loss":1}')
  journal.commit()
  const account = new DestinationAccount(journal, accountOptions)
  account.opened('r1', true, 'http://a/#/r1', new Map([['trainer/loss', 7]]))
  account.moved(
    'points',
    { ...account.cursor('points'), position: 20, delivered: 19, rejected: 1 },
    [{ sequence: 3, name: 'trainer/loss', step: 2, time: 5, value: Number.NaN, reason: 'no' }],
    new Map([['trainer/lr', 9]]),
  )
  journal.close()
  return readFileSync(path)
}

const accountOptions = {
  exporter: 'mlflow',
  address: 'http://a',
  target: { runId: null },
  kinds: ['points', 'params', 'tags'],
} as const

const older = ['format-1', 'format-2', 'format-3', 'format-4'].map((name) =>
  gunzipSync(readFileSync(new URL(`../fixtures/journals/${name}.sqlite.gz`, import.meta.url))),
)
let seeds: readonly Buffer[] | null = null
const seedsOf = (): readonly Buffer[] => (seeds ??= [journalOfToday(), ...older, journalOfToday()])

const PAGE_BYTES = 4096

/** Changes bytes where they tell most: in the header of the file, at the beginnings of pages, or anywhere. */
function damage(file: Buffer, random: Random): Buffer {
  const changed = Buffer.from(file)
  const pages = Math.floor(changed.length / PAGE_BYTES)
  for (let count = random.long(1, 6); count > 0; count -= 1) {
    const page = random.whole(0, pages - 1) * PAGE_BYTES
    const kind = random.whole(0, 6)
    if (kind === 0) changed[random.whole(0, 99)] = random.whole(0, 255)
    else if (kind === 1) changed[page + random.whole(0, 20)] = random.whole(0, 255)
    else if (kind === 2) changed.copy(changed, page, random.whole(0, pages - 1) * PAGE_BYTES, PAGE_BYTES)
    else if (kind === 3) changed.fill(random.of([0, 255]), page, page + random.long(1, PAGE_BYTES))
    else if (kind === 4) return changed.subarray(0, random.whole(0, changed.length))
    else changed[random.whole(0, changed.length - 1)] = random.whole(0, 255)
  }
  return changed
}

const ODD_SQL = [
  'NULL',
  '0',
  '-1',
  '1.5',
  '1e300',
  '9e999',
  '4294967296',
  '2147483648',
  '1000000000',
  '9007199254740993',
  '9223372036854775807',
  '-9223372036854775808',
  "''",
  "'NaN'",
  "'{'",
  "'[1]'",
  "'[1,'",
  "'disabled'",
  "'KILLED'",
  "'__proto__'",
  "x''",
  "x'00ff80'",
  'zeroblob(100000)',
  'randomblob(0)',
] as const

/** Blocks twice, for most of a journal is in them. */
const CHANGED = [...TABLES, 'blocks', 'spans']

/** A statement that makes a row of the journal something else. */
function oddStatement(database: DatabaseSync, random: Random): string {
  const table = random.of(CHANGED)
  const columns = database.prepare(`SELECT name FROM pragma_table_info('${table}')`).all()
  if (columns.length === 0) return 'SELECT 1'
  const column = String(random.of(columns)['name'])
  const kind = random.whole(0, 9)
  const one = `WHERE ${column} IN (SELECT ${column} FROM ${table} LIMIT 1 OFFSET ${random.whole(0, 5)})`
  if (kind === 0) return `DELETE FROM ${table} ${random.chance(0.5) ? one : ''}`
  if (kind === 1) return `DROP TABLE ${table}`
  if (kind === 2) return `ALTER TABLE ${table} RENAME COLUMN ${column} TO other`
  if (kind === 3 && (table === 'blocks' || table === 'spans'))
    return `UPDATE ${table} SET data = substr(data, 1, length(data) - ${random.long(1, 600)}) ${one}`
  const to = kind === 4 ? `${column} ${random.of(['+ 1', '* 1000000', '|| 1', '- 3', '/ 2.0'])}` : random.of(ODD_SQL)
  return `UPDATE OR REPLACE ${table} SET ${column} = ${to} ${random.chance(0.8) ? one : ''}`
}

/** Changes rows by SQL, with the constraints of the schema taken away where there are any. */
function oddRows(file: Buffer, random: Random): Buffer {
  const path = join(room(), 'make.sqlite')
  clear(path)
  writeFileSync(path, file)
  const database = new DatabaseSync(path)
  try {
    database.exec('PRAGMA journal_mode = DELETE; PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF')
    if (random.chance(0.5)) relax(database)
    for (let count = random.long(1, 6); count > 0; count -= 1) {
      try {
        database.exec(oddStatement(database, random))
      } catch {
        // A constraint stands against it.
      }
    }
  } finally {
    database.close()
  }
  return readFileSync(path)
}

/** Tables without their constraints take whatever comes: a file from elsewhere may be one of those. */
function relax(database: DatabaseSync): void {
  database.enableDefensive?.(false)
  database.exec(`PRAGMA writable_schema = ON;
    UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '') WHERE type = 'table' AND sql NOT LIKE '%WITHOUT ROWID%';
    PRAGMA writable_schema = RESET`)
}

/** What a reader may say of a journal: words of ours or SQLite's, and no fault of the language. */
class Said extends Error {}
function said<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    const { code, constructor } = error as Error & { code?: string }
    // Node's words for an integer of SQLite that no double holds.
    if (constructor === Error || constructor === DamagedJournal || code === 'ERR_OUT_OF_RANGE')
      throw new Said((error as Error).message)
    throw error
  }
}

/** Most points that are read of one journal here. */
const MAX_READ = 2000

function readOpened(path: string): void {
  const journal = said(() => RunJournal.open(path))
  try {
    said(() => journal.readStart())
    said(() => journal.readEnd())
    said(() => journal.readWaiting())
    law(Number.isSafeInteger(journal.points) && journal.points >= 0, 'there is a number of points')
    for (let after = Math.max(0, journal.firstKept.points - 1), left = MAX_READ; left > 0 && after < journal.points;) {
      const batch = said(() => nextBatch(journal, 'points', after, 30))
      if (batch === null || batch.kind !== 'points') throw new Broken('against the law: what is counted can be read')
      law(batch.count > 0 && batch.first === after + 1 && batch.value.length === batch.count, 'points stand in a row')
      law(
        batch.series.every((series) => typeof batch.keyOf(series) === 'string'),
        'every point has a key',
      )
      after += batch.count
      left -= batch.count
    }
    for (const kind of ['params', 'tags', 'spans'] as const) said(() => nextBatch(journal, kind, 0, 100))
    said(() => newestSpans(journal))
    said(() => {
      const account = new DestinationAccount(journal, accountOptions)
      account.cursor('points')
      account.ahead('points')
    })
    said(() => journal.closeByTakeOver())
    said(() => goOn(journal))
  } finally {
    journal.close()
  }
}

/** A run that goes on: a known series and a new one. */
function goOn(journal: RunJournal): void {
  journal.addSeries(0, 'trainer/loss')
  journal.addSeries(1, 'new')
  const buffer = new ArrayBuffer(CHUNK_POINTS * POINT_BYTES)
  columnsOf(buffer, CHUNK_POINTS).series.fill(1, 0, 2)
  journal.addPoints(buffer, 2, new Float64Array(COUNTERS.length).fill(1))
  journal.addEvents([{ time: 5, level: 'WARN', target: '', message: '', step: null, fields: '{}' }])
  journal.commit(1_700_000_000_001)
  law(journal.read(journal.points - 2, 2)!.count === 2, 'what was written can be read')
  journal.drop(1)
}

function readAudited(path: string): void {
  const journal = said(() => new AuditedJournal(path))
  try {
    said(() => {
      void [journal.run, journal.end, journal.keys(), journal.countSpans(), journal.counter('points')]
      journal.texts('params')
      journal.progress(1, 'points').stateOf(1)
      journal.hasRun('mlflow', 'r1')
    })
    said(() => {
      for (const { count, value, series } of journal.blocks())
        law(value.length === count && series.length === count, 'a block is whole')
    })
    said(() => [...journal.spans()])
  } finally {
    journal.close()
  }
}

function read(input: Buffer): Outcome {
  const path = join(room(), 'run.sqlite')
  clear(path)
  writeFileSync(path, input)
  // The file is on the list whatever is in it; what is said of it is no concern here.
  const { runs, unreadable, empty } = readStateDir(room(), (journal) => journal !== path)
  law(runs.length + unreadable.length + empty.length === 1, 'a file is a run, unreadable, or empty')
  for (const { error } of unreadable)
    law(!/is not a function|Cannot read|undefined/.test(error), `words for people: ${error}`)
  for (const run of runs) law(Number.isFinite(run.journaled.points) && Array.isArray(run.command), 'a run has numbers')
  new Identities(room()).newest('{"service.name":"ppo"}')
  const outcomes = [outcomeOf(() => readAudited(path), Said), outcomeOf(() => readOpened(path), Said)]
  return outcomes.includes('refused') ? 'refused' : 'read'
}

const journalFiles: Target = {
  name: 'journal-file',
  share: 15,
  make: (random) => damage(random.of(seedsOf()), random),
  read,
}

const journalRows: Target = {
  name: 'journal-rows',
  share: 15,
  make: (random) => oddRows(random.of(seedsOf()), random),
  read,
}

/** A row of `blocks`: its count as a double, then its data. */
const blocks: Target = {
  name: 'block',
  share: 2600,
  make: (random) => {
    const count = random.chance(0.5)
      ? random.whole(0, 40)
      : random.of([-1, 0.5, 2 ** 31, 2 ** 53, Number.NaN, 1e300, 3])
    const bytes =
      random.chance(0.7) && count >= 0 && count <= 40 ? Math.trunc(count) * POINT_BYTES : random.whole(0, 2000)
    const data = Buffer.alloc(8 + bytes, random.whole(0, 255))
    data.writeDoubleLE(count)
    return data
  },
  read: (input) =>
    outcomeOf(
      () =>
        said(() => {
          const { first, count, value, step, time, series } = pointsOfBlock(
            { first: 1, count: input.readDoubleLE(), data: input.subarray(8) },
            'run.sqlite',
          )
          law(first === 1 && [value, step, time, series].every(({ length }) => length === count), 'columns are whole')
        }),
      Said,
    ),
}

export const JOURNAL_TARGETS: readonly Target[] = [journalFiles, journalRows, blocks]
