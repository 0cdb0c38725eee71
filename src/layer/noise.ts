import { epochMs } from './time.ts'
import type { Fields } from './event.ts'

/**
 * Numbers that a log format or an OpenTelemetry client adds of its own. They look like metrics and are none.
 * Recorded from the clients named; see `docs/extraction.md` for the list with its sources.
 */

/** Added among the event's fields: Rust's `log` bridge, tracing-opentelemetry, Python's logging handler. */
const ANYWHERE: ReadonlySet<string> = new Set([
  'log.line',
  'log.target',
  'log.module_path',
  'log.file',
  'busy_ns',
  'idle_ns',
  'thread.id',
  'process.id',
])

/** Added at the top level of a line whatever its value: level, place in the source, ids of process and thread. */
const LINE: ReadonlySet<string> = new Set([
  'level',
  'levelno',
  'severity',
  'target',
  'span',
  'spans',
  'timestamp',
  '@timestamp',
  'ts',
  'asctime',
  'pid',
  'hostname',
  'threadId',
  'threadName',
  'filename',
  'line_number',
  'lineno',
  'caller',
  'msg',
])

/** Texts that a logger adds; only beside a level or a message of its own, since anybody may have a field `name`. */
const LOGGER_TEXT: ReadonlySet<string> = new Set([
  'name',
  'logger',
  'levelname',
  'event',
  'text',
  'funcName',
  'pathname',
])
const LOGGER_MARKS = ['level', 'levelname', 'event', 'record']

const isText = (value: unknown): boolean => typeof value === 'string'

/** Names that are the format's only in company: the other fields of the line decide. */
const IN_COMPANY: Readonly<Record<string, (line: Fields) => boolean>> = {
  // A number that can be no date (`"time": 0.35`) is a duration that someone measures.
  time: (line) => typeof line['time'] !== 'number' || epochMs(line['time']) !== null,
  created: (line) => typeof line['created'] === 'number' && epochMs(line['created']) !== null,
  v: (line) => isText(line['hostname']) && typeof line['pid'] === 'number', // bunyan's version of the format
  process: (line) => isText(line['levelname']),
  thread: (line) => isText(line['levelname']),
  msecs: (line) => isText(line['levelname']) || isText(line['asctime']),
  relativeCreated: (line) => isText(line['levelname']) || isText(line['asctime']),
  source: (line) => typeof line['source'] === 'object', // slog's AddSource
  stacktrace: (line) => isText(line['stacktrace']),
}

/** Whether `name` is the client's own wherever it stands in an event. */
export const isClientNoise = (name: string): boolean => ANYWHERE.has(name) || name.startsWith('code.')

/** Whether the top-level field `name` belongs to the format of the line and not to the event. */
export function isLineNoise(name: string, line: Fields): boolean {
  if (LINE.has(name)) return true
  if (isClientNoise(name)) return true
  return Object.hasOwn(IN_COMPANY, name) && IN_COMPANY[name]!(line)
}

/** Whether the answer for `name` depends on the line, and so must not be remembered. */
export const dependsOnLine = (name: string): boolean => Object.hasOwn(IN_COMPANY, name)

/** Whether the top-level field `name` is left out of a run's params: the format's own numbers, and the texts of a logger. */
export function isNoParam(name: string, line: Fields): boolean {
  if (isLineNoise(name, line)) return true
  if (name === 'module') return isText(line['levelname'])
  return LOGGER_TEXT.has(name) && isText(line[name]) && LOGGER_MARKS.some((mark) => Object.hasOwn(line, mark))
}
