import { escapeControl } from '../telemetry/say.ts'
import type { Batch, Cell, Column, Sink, Table } from './table.ts'

/** Bytes that are gathered before they are written. */
const CHUNK = 1 << 16

/** The last time that a date can say. */
const MAX_TIME = 8.64e15

const isoOf = (ms: number): string => (Math.abs(ms) <= MAX_TIME ? new Date(ms).toISOString() : '')

/** A value that reads back as the same double: pandas knows `NaN`, `Infinity` and `-0.0`. */
const numberText = (value: number): string => (Object.is(value, -0) ? '-0.0' : String(value))

const quoted = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)

/** Writes rows as RFC 4180 has them. `escapes`: a terminal reads along, and control characters are shown and not obeyed. */
export async function writeCsv({ columns, batches }: Table, sink: Sink, escapes: boolean): Promise<void> {
  const text = (value: string): string => quoted(escapes ? escapeControl(value) : value)
  const cell = (value: Cell, { type }: Column): string => {
    if (value === null) return type === 'time' ? ',' : ''
    if (typeof value === 'string') return text(value)
    return type === 'time' ? `${isoOf(value)},${value}` : numberText(value)
  }
  const head = columns.map(({ name, type }) => (type === 'time' ? `${name},${name}_ms` : text(name))).join(',')
  await writeLines(sink, head, batches, (batch, row) => {
    let line = ''
    for (const [i, column] of columns.entries()) line += (i === 0 ? '' : ',') + cell(batch.columns[i]![row]!, column)
    return line
  })
}

/** JSON for a terminal, too: what it may obey is written as escapes, which every parser reads. */
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const HARMFUL = /[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g
const jsonText = (value: string): string =>
  JSON.stringify(value).replace(HARMFUL, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)

/** Writes one object per line. What JSON has no number for is a string: `"NaN"`, `"Infinity"`, `"-Infinity"`. */
export async function writeJsonl({ columns, batches }: Table, sink: Sink): Promise<void> {
  const names = columns.map(({ name }) => jsonText(name))
  const cell = (value: Cell, { name, type }: Column, i: number): string => {
    if (value === null) return `${names[i]!}:null`
    if (typeof value === 'string') return `${names[i]!}:${jsonText(value)}`
    if (type === 'time') return `${names[i]!}:"${isoOf(value)}",${jsonText(`${name}_ms`)}:${value}`
    return `${names[i]!}:${Number.isFinite(value) ? numberText(value) : `"${value}"`}`
  }
  await writeLines(
    sink,
    null,
    batches,
    (batch, row) => `{${columns.map((column, i) => cell(batch.columns[i]![row]!, column, i)).join(',')}}`,
  )
}

async function writeLines(
  sink: Sink,
  head: string | null,
  batches: Iterable<Batch>,
  lineOf: (batch: Batch, row: number) => string,
): Promise<void> {
  let waiting = head === null ? '' : `${head}\n`
  for (const batch of batches) {
    for (let row = 0; row < batch.count; row += 1) {
      waiting += `${lineOf(batch, row)}\n`
      if (waiting.length < CHUNK) continue
      if (!(await sink.write(Buffer.from(waiting)))) return
      waiting = ''
    }
  }
  if (waiting !== '') await sink.write(Buffer.from(waiting))
}
