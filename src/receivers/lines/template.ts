import { isFields, type Fields } from '../../layer/event.ts'
import type { Outline } from '../../layer/outline.ts'
import { epochMs } from '../../layer/time.ts'
import { MESSAGE_FIELDS } from './shape.ts'

/** What a value that changes from line to line must be for the next line to be read as the first one was. */
export const NUMBER = 0
/** A number that is a date, and one that is none: names such as `time` mean something else then. */
export const DATE = 1
export const NO_DATE = 2
export const STRING = 3
/** The text that the time of the event is read from. */
export const TIME = 4
/** A text that makes an event configuration if it is one of a few words. */
export const MESSAGE = 5
/** `true`, `false`, `null`. */
export const WORD = 6

/** Values that decide what becomes of a line: a line with another one is another layout. */
const DECIDING: ReadonlySet<string> = new Set([
  'category',
  'telemetry',
  'level',
  'levelname',
  'severity',
  'lvl',
  'target',
  'logger',
  'name',
])

const DATE_FIELDS: ReadonlySet<string> = new Set(['time', 'created'])
const MESSAGES: ReadonlySet<string> = new Set(MESSAGE_FIELDS)

/** How many texts and values a line may have that is remembered. */
export const MAX_VALUES = 512

/** What becomes of the values of a line, by their places. */
export interface Leaf {
  /** The number that is the step. */
  step: number
  /** What the time is: a number of that place, the text that is one, or what the clock said when the line came. */
  time: number | 'text' | null
  /** The numbers that become points, and their series. */
  places: readonly number[]
  series: readonly number[]
  /** Another line of the layout has come since the first. */
  hasComeAgain: boolean
}

/**
 * One layout of line: the bytes that are the same in all of them, and between them the values that change. A line that
 * fits is JSON with the same names in the same places, so it becomes what the first one became.
 */
export interface Template {
  /** One more than there are values; the last one has the newline. */
  literals: readonly Uint8Array[]
  kinds: readonly number[]
  leaf: Leaf
}

/** A value in the text of a line, and where it stands in the object. */
interface Value {
  holder: Fields
  name: string
  from: number
  to: number
}

/** A line that was read in full, and what was made of it. */
export interface Read {
  text: string
  line: Fields
  outline: Outline
  /** The field of the line that the time was read from; null: it has none. */
  time: string | null
}

/** The layout of a line, or null where it cannot be told from the text: lists, escapes, names that stand there twice. */
export function templateOf({ text, line, outline, time }: Read): Template | null {
  const values = valuesOf(text, line)
  if (values === null) return null
  const changing = values.filter(({ name }) => !DECIDING.has(name))
  if (changing.length > MAX_VALUES) return null
  const placeOf = (holder: Fields, name: string): number =>
    changing.findIndex((value) => value.holder === holder && value.name === name)
  const timePlace = time === null ? -1 : placeOf(line, time)
  const places = outline.points.map(({ fields, name }) => placeOf(fields, name))
  const step = placeOf(outline.step.fields, outline.step.name)
  if (step < 0 || places.includes(-1) || (time !== null && timePlace < 0)) return null
  const ends = [0, ...changing.map(({ to }) => to)]
  const ended = `${text}\n`
  return {
    literals: ends.map((from, i) => new Uint8Array(Buffer.from(ended.slice(from, changing[i]?.from)))),
    kinds: changing.map((value, place) => kindOf(value, line, place === timePlace)),
    leaf: {
      step,
      time: time === null ? null : typeof line[time] === 'string' ? 'text' : timePlace,
      places,
      series: outline.points.map(({ series }) => series),
      hasComeAgain: false,
    },
  }
}

function kindOf({ holder, name }: Value, line: Fields, isTime: boolean): number {
  const value = holder[name]
  if (typeof value === 'string') return isTime ? TIME : MESSAGES.has(name) ? MESSAGE : STRING
  if (typeof value !== 'number') return WORD
  if (holder !== line || !DATE_FIELDS.has(name)) return isTime ? DATE : NUMBER
  return epochMs(value) !== null ? DATE : NO_DATE
}

/** Where the values of a line stand that are neither objects nor lists; null where it is none of the plain kind. */
function valuesOf(text: string, line: Fields): Value[] | null {
  // With escapes a name in the text is not the name in the object.
  if (text.includes('\\')) return null
  const values: Value[] = []
  const holders: { fields: Fields; names: number }[] = [{ fields: line, names: 0 }]
  TOKEN.lastIndex = 1
  while (holders.length > 0) {
    const match = TOKEN.exec(text)
    if (match === null) return null
    const [, closing, name, token] = match
    const holder = holders.at(-1)!
    if (closing !== undefined) {
      // Of a name that stands there twice only the last one is in the object.
      if (Object.keys(holder.fields).length !== holder.names) return null
      holders.pop()
      continue
    }
    holder.names += 1
    if (token === '{') {
      const fields = holder.fields[name!]
      if (!isFields(fields)) return null
      holders.push({ fields, names: 0 })
    } else {
      const to = TOKEN.lastIndex
      values.push({ holder: holder.fields, name: name!, from: to - token!.length, to })
    }
  }
  return TOKEN.lastIndex === text.length ? values : null
}

/**
 * The end of an object, or a name and what follows: an object that opens, or a value. A list is none of them. Blanks can
 * be matched in one way only: a megabyte of them would take hours otherwise.
 */
const TOKEN = /\s*(?:(\})|(?:,\s*)?"([^"]*)"\s*:\s*(\{|"[^"]*"|[^\s"{[\],}]+))/y
