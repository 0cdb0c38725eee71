/**
 * What SQLite takes to keep what spans leave in a journal: as many bytes in as many commits, with the settings of a journal, read
 * once to be sent on, and nothing else. Prints how many bytes there were.
 *
 *     node bench/load/bare-journal.ts DIRECTORY SPANS
 */
import { join } from 'node:path'
import { createFile } from '../../src/journal/file.ts'
import { POINTS_A_SPAN, SpanRequests, SPANS_A_REQUEST } from './spans.ts'

const [directory, spans] = [process.argv[2]!, Number(process.argv[3])]
/** Four senders wait for each commit. */
const REQUESTS_A_COMMIT = 4
const BYTES_A_POINT = 28

const database = createFile(join(directory, 'bare.sqlite'))
database.exec('CREATE TABLE rows (id INTEGER PRIMARY KEY, data BLOB NOT NULL)')
const insert = database.prepare('INSERT INTO rows (data) VALUES (?)')
const select = database.prepare('SELECT data FROM rows WHERE id = ?')
const requests = Array.from({ length: REQUESTS_A_COMMIT }, (_, i) => Buffer.from(new SpanRequests(i).next()))
const someSpans = Buffer.concat(requests)
const somePoints = new Uint8Array(REQUESTS_A_COMMIT * SPANS_A_REQUEST * POINTS_A_SPAN * BYTES_A_POINT).fill(1)

let bytes = 0
for (let kept = 0; kept < spans; kept += REQUESTS_A_COMMIT * SPANS_A_REQUEST) {
  database.exec('BEGIN IMMEDIATE')
  insert.run(somePoints)
  const { lastInsertRowid } = insert.run(someSpans)
  database.exec('COMMIT')
  const { data } = select.get(lastInsertRowid) as { data: Uint8Array }
  bytes += somePoints.length + data.length
}
database.close()
console.log(bytes)
