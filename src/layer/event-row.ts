import type { EventLevel, EventRow } from '../channel/messages.ts'
import { withoutSecretParts } from './command.ts'
import { isFields, type AsWritten, type Fields, type TracingEvent } from './event.ts'
import { isShadowed, prefixOf, stepOf } from './fields.ts'
import { LEVEL_FIELDS } from './level.ts'
import { isClientNoise, isNoParam } from './noise.ts'
import { jsonText, TOO_DEEP, withoutSecrets } from './params.ts'
import type { Rules } from './rules.ts'

/** Bytes of UTF-8 that are kept of each text of an event; the JSON of its fields may have as many as a message. */
const MAX_TARGET = 256
const MAX_MESSAGE = 4096
const MAX_FIELDS = 4096
/** Fields that are kept of an event. */
const MAX_NAMES = 64

/** A field of this name says that others were cut, or left out. */
export const CUT = '[cut]'
const CUT_MARK = `,${JSON.stringify(CUT)}:true`

const ELLIPSIS = '…'

/** Takes an event of that level; it is made only where there is room for it. */
export type PutEvent = (level: EventLevel, make: () => EventRow) => void

/** The word for a level (1 ERROR to 5 TRACE) whose events are kept; null: they are not. */
export const keptLevel = (level: number | null): EventLevel | null =>
  level === null || level > 2 ? null : level === 2 ? 'WARN' : 'ERROR'

export interface RowOptions {
  level: EventLevel
  /** What wrote the event; empty: nobody knows. */
  target: string
  /** Null: not known yet. */
  step: number | null
  /** UTC ms: the time of an event that carries none. */
  receivedAt: number
  /** Its fields with numbers as they were written. */
  written: AsWritten
}

/** The step of an event by the same rule as that of its points; null: it has none. */
export function stepOfEvent(event: TracingEvent, rules: Rules): number | null {
  const step = stepOf(event, rules, prefixOf(event, rules))
  return typeof step === 'number' ? step : null
}

/** An event as the journal keeps it: secrets are taken out, and long texts lose their middle. */
export function eventRow(event: TracingEvent, { level, target, step, receivedAt, written }: RowOptions): EventRow {
  return {
    time: Math.trunc(event.time ?? receivedAt),
    level,
    target: shortened(withoutSecretParts(target), MAX_TARGET),
    message: shortened(withoutSecretParts(event.message ?? ''), MAX_MESSAGE),
    step,
    fields: fieldsText(event, written),
  }
}

/** At most `bytes` of a text in UTF-8. What went wrong stands at its beginning, or, in Python's tracebacks, at its end. */
function shortened(text: string, bytes: number): string {
  if (text.length * 3 <= bytes || Buffer.byteLength(text) <= bytes) return text.toWellFormed()
  const all = Buffer.from(text)
  const half = (bytes - Buffer.byteLength(ELLIPSIS)) >> 1
  let end = half
  let from = all.length - half
  while (isInside(all[end])) end -= 1
  while (isInside(all[from])) from += 1
  return all.toString('utf8', 0, end) + ELLIPSIS + all.toString('utf8', from)
}

/** Whether a byte is not the first one of a character. */
const isInside = (byte: number | undefined): boolean => byte !== undefined && (byte & 0xc0) === 0x80

interface Entry {
  name: string
  value: unknown
  /** As JSON, secrets taken out. */
  text: string
}

const sizeOf = ({ name, text }: Entry): number => Buffer.byteLength(JSON.stringify(name) + text) + ':,'.length

/** The event's own fields as JSON. Where they are too long, those go first that are short; each has its share. */
function fieldsText(event: TracingEvent, written: AsWritten): string {
  const all = [...ownFields(event, written)]
  const entries = all.slice(0, MAX_NAMES).map(([name, value]) => ({ name, value, text: memberText(name, value) }))
  // Each has a comma behind it, and the last one the other brace.
  let room = MAX_FIELDS - '{'.length
  if (all.length === entries.length && entries.reduce((sum, entry) => sum + sizeOf(entry), 0) <= room)
    return `{${entries.map(memberOf).join(',')}}`
  room -= CUT_MARK.length
  const bySize = entries.toSorted((a, b) => sizeOf(a) - sizeOf(b))
  const kept = new Map<Entry, string>()
  for (const [i, entry] of bySize.entries()) {
    const member = withinShare(entry, Math.floor(room / (bySize.length - i)))
    if (member === null) continue
    kept.set(entry, member)
    room -= Buffer.byteLength(member) + 1
  }
  const members = entries.flatMap((entry) => kept.get(entry) ?? [])
  return `{${members.join(',')}${CUT_MARK.slice(members.length === 0 ? 1 : 0)}}`
}

function memberText(name: string, value: unknown): string {
  const text = jsonText(name, value)
  return text === TOO_DEEP ? JSON.stringify(text) : text
}

const memberOf = ({ name, text }: Entry): string => `${JSON.stringify(name)}:${text}`

/** A member of so many bytes at most, or null when that is too few. What is no text is cut as the text of its JSON. */
function withinShare(entry: Entry, bytes: number): string | null {
  if (sizeOf(entry) <= bytes) return memberOf(entry)
  const { name, value, text } = entry
  const whole = typeof value === 'string' ? withoutSecrets(name, value) : text
  const room = bytes - sizeOf({ ...entry, text: '' })
  // Characters that JSON escapes take more than they are.
  for (let length = room - 2; length > ELLIPSIS.length;) {
    const cut = JSON.stringify(shortened(whole, length))
    const size = Buffer.byteLength(cut)
    if (size <= room) return memberOf({ ...entry, text: cut })
    length = Math.min(length - 1, Math.floor((length * room) / size))
  }
  return null
}

const MESSAGE_NAMES: ReadonlySet<string> = new Set(['message', 'msg', 'event'])
const LEVEL_NAMES: ReadonlySet<string> = new Set(LEVEL_FIELDS)

/** What is the event's own, strongest source first: without message and level, and what its format adds. */
function* ownFields(event: TracingEvent, written: AsWritten): Generator<[name: string, value: unknown]> {
  const isMessage = (name: string, value: unknown): boolean => MESSAGE_NAMES.has(name) && value === event.message
  for (const [i, fields] of event.wrapped.entries())
    for (const name of Object.keys(fields))
      if (!isMessage(name, fields[name]) && !isClientNoise(name) && !isShadowed(event, fields, name))
        yield [name, written.wrapped[i]?.[name]]
  const { line } = event
  if (line === null) return
  for (const name of Object.keys(line))
    if (!isMessage(name, line[name]) && !isOfFormat(event, line, name) && !isShadowed(event, line, name))
      yield [name, written.line?.[name]]
}

function isOfFormat({ wrapperNames }: TracingEvent, line: Fields, name: string): boolean {
  if (Object.hasOwn(WORTH_KEEPING, name) && WORTH_KEEPING[name]!(line)) return false
  return LEVEL_NAMES.has(name) || isNoParam(name, line) || (wrapperNames.includes(name) && isFields(line[name]))
}

/** What is no param, but tells what has happened: zap's trace, and that of loguru, which stands behind its text. */
const WORTH_KEEPING: Readonly<Record<string, (line: Fields) => boolean>> = {
  stacktrace: () => true,
  event: () => true,
  text: ({ record }) => !isFields(record) || isFields(record['exception']),
}
