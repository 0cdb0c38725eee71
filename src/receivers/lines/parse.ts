import { randomUUID } from 'node:crypto'
import { isFields, type Fields } from '../../layer/event.ts'
import type { LineFault } from '../../telemetry/counters.ts'

/** The object on a line, and the part of the line that it was read from. */
export interface ReadLine {
  fields: Fields
  text: string
}

/** What became of a line: the object on it, or why it is no event. */
export type ParsedLine = ReadLine | LineFault

/** Control sequences (ECMA-48 CSI): colours around a JSON message, and what erases a progress bar before it. */
// oxlint-disable-next-line no-control-regex -- the escape character is what is looked for
const LEADING_NOISE = /^(?:[\s\uFEFF]|\x1b\[[0-?]*[ -/]*[@-~])+/
// oxlint-disable-next-line no-control-regex -- as above
const CODE_AT_END = /\x1b\[[0-?]{0,32}[ -/]{0,2}[@-~]$/

/** Beginnings of JSON that is no object: quickly told from a date or a word. */
// oxlint-disable-next-line no-control-regex -- as above
const MAY_BE_OTHER = /^(?:["[]|(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?:$|[\s\x1b]))/
const SCALAR = /^(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)$/

const BLANK = 32
const DELETE = 127
const OPEN_BRACE = 123
const CLOSE_BRACE = 125

/**
 * Reads one line. What stands before its last carriage return (a progress bar that was overwritten) and colour codes
 * around the object are no part of the event. Text before or behind the object makes the line text.
 */
export function parseLine(line: string): ParsedLine | null {
  if (line.charCodeAt(0) === OPEN_BRACE && line.charCodeAt(line.length - 1) === CLOSE_BRACE) {
    const value = parseJson(line)
    if (isFields(value)) return { fields: value, text: line }
    if (!line.includes('\r')) return 'invalid_json'
  }
  // What frameworks print between events: looking for noise and letting `JSON.parse` throw costs far more.
  const first = line.charCodeAt(0)
  const isPlain = first > BLANK && first < DELETE && first !== OPEN_BRACE && !line.includes('\r')
  if (isPlain && !MAY_BE_OTHER.test(line)) return 'text'
  const text = stripNoise(line)
  if (text === '') return null
  if (text.charCodeAt(0) !== OPEN_BRACE) return isOtherJson(text) ? 'not_object' : 'text'
  const value = parseJson(text)
  return isFields(value) ? { fields: value, text } : 'invalid_json'
}

function stripNoise(line: string): string {
  const whole = line.replace(/\r+$/, '')
  return trimEnd(whole.slice(whole.lastIndexOf('\r') + 1).replace(LEADING_NOISE, ''))
}

/** Takes blanks and control sequences off the end, one at a time: a single expression would need the square of a long tail. */
function trimEnd(line: string): string {
  for (let text = line; ;) {
    const trimmed = text.trimEnd()
    const code = trimmed.endsWith('}') ? null : CODE_AT_END.exec(trimmed.slice(-40))
    if (code === null) return trimmed
    text = trimmed.slice(0, trimmed.length - code[0].length)
  }
}

function isOtherJson(text: string): boolean {
  if (text.startsWith('"') || text.startsWith('[')) return /["\]]$/.test(text) && parseJson(text) !== undefined
  return SCALAR.test(text)
}

/** JSON with the bare `NaN`, `Infinity` and `-Infinity` of Python; `undefined` when it is none. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Below: the same line with Python's tokens, or broken.
  }
  if (!text.includes('NaN') && !text.includes('Infinity')) return undefined
  try {
    return reviveNaN(JSON.parse(quoteTokens(text)))
  } catch {
    return undefined
  }
}

/** Stands for NaN between the two passes; nobody can write it into a line by chance. */
const NAN_MARK = `NaN-${randomUUID()}`

/** A token where a value may stand; `-Infinity` keeps its sign, `-NaN`, `1Infinity` and the name in `{NaN:1}` are no JSON of anybody's. */
const TOKEN = /(?<=[[:,]\s*)NaN(?=\s*(?:[,\]}]|$))|(?<=[[:,]\s*-?)Infinity(?=\s*(?:[,\]}]|$))/g

/**
 * Replaces the bare tokens outside strings. `1e999` is read as Infinity by every JSON parser; NaN has no such form.
 * Strings are skipped by hand: an expression would need its square on a line of a megabyte of escaped quotes.
 */
function quoteTokens(text: string): string {
  let out = ''
  let from = 0
  for (;;) {
    const open = text.indexOf('"', from)
    const gap = open < 0 ? text.slice(from) : text.slice(from, open)
    out += gap.replace(TOKEN, (token) => (token === 'NaN' ? `"${NAN_MARK}"` : '1e999'))
    if (open < 0) return out
    const close = endOfString(text, open)
    out += text.slice(open, close)
    from = close
  }
}

/** The index behind the string that opens at `open`. */
function endOfString(text: string, open: number): number {
  for (let i = open + 1; i < text.length; i += 1) {
    const code = text.charCodeAt(i)
    if (code === 92) i += 1
    else if (code === 34) return i + 1
  }
  return text.length
}

function reviveNaN(root: unknown): unknown {
  if (root === NAN_MARK) return Number.NaN
  const stack: unknown[] = [root]
  while (stack.length > 0) {
    const parent = stack.pop()
    if (typeof parent !== 'object' || parent === null) continue
    for (const key of Object.keys(parent)) {
      const value = (parent as Fields)[key]
      if (value === NAN_MARK) define(parent as Fields, key, Number.NaN)
      else stack.push(value)
    }
  }
  return root
}

/** An assignment to `__proto__` would be lost. */
const define = (fields: Fields, key: string, value: unknown): void => {
  Object.defineProperty(fields, key, { value, enumerable: true, configurable: true, writable: true })
}

/** How many integers of a line lie beyond 2^53, where not every integer is a double. The text tells, the double cannot. */
export function countBigIntegers(text: string): number {
  let count = 0
  JSON.parse(quoteTokens(text), (_key, value: unknown, context?: { source?: string }) => {
    if (typeof value === 'number' && Math.abs(value) >= 2 ** 53 && /^-?\d+$/.test(context?.source ?? '')) {
      const integer = BigInt(context!.source!)
      if (integer > 2n ** 53n || integer < -(2n ** 53n)) count += 1
    }
    return null
  })
  return count
}

/** The same object with each number as the text that was written (`2e-05`, all digits of 2^64), as `JSON.rawJSON`. */
export function withNumbersAsWritten(text: string): Fields {
  const value: unknown = JSON.parse(quoteTokens(text), (_key, value: unknown, context?: { source?: string }) => {
    if (value === NAN_MARK) return 'NaN'
    if (typeof value !== 'number') return value
    return Number.isFinite(value) ? JSON.rawJSON(context?.source ?? String(value)) : String(value)
  })
  return isFields(value) ? value : {}
}
