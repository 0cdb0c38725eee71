import { CONFIG_MESSAGES } from '../../layer/rules.ts'
import { epochMs } from '../../layer/time.ts'
import { EVENTS, LINES, NUMBERS, POINTS, type Counters } from '../../telemetry/counters.ts'
import { readDecimal } from './decimal.ts'
import { LayoutTree, viewOf } from './layouts.ts'
import { MAX_LINE_BYTES } from './split.ts'
import { StampReader } from './stamp.ts'
import {
  DATE,
  MAX_VALUES,
  MESSAGE,
  NO_DATE,
  NUMBER,
  STRING,
  templateOf,
  TIME,
  type Leaf,
  type Read,
} from './template.ts'

/** Layouts that may be learned of which none has come again: learning one costs as much as reading some lines. */
const MAX_CREDIT = 256
/** One more may be after so many lines that had to be read otherwise. */
const LINES_PER_CREDIT = 64

const QUOTE = 34
const BACKSLASH = 92
const OPEN_BRACE = 123

const CONFIG_WORDS = [...CONFIG_MESSAGES].map((word) => ({ length: word.length, first: word.charCodeAt(0) }))

/** From here on integers are no doubles of their own. */
const BIG = 2 ** 53

/** Takes one point. */
type PutPoint = (series: number, step: number, time: number, value: number) => void

/**
 * Takes lines whose layout has been there before, straight from their bytes. A trainer has a few places that log, and
 * each of them writes the same names in the same order: what is to be done was found out with the first such line, and
 * parsing, looking up names and making objects are saved. A line that differs in anything but its values is left alone.
 */
export class RepeatedLines {
  readonly #point: PutPoint
  readonly #counters: Counters
  readonly #layouts = new LayoutTree()
  #credit = MAX_CREDIT
  readonly #stamps = new StampReader()
  #bytes: Uint8Array = Buffer.alloc(0)
  #view = viewOf(this.#bytes)
  /** The numbers of the line under way, by their places, and the time that is a text. */
  readonly #numbers = new Float64Array(MAX_VALUES)
  #time = 0

  constructor(point: PutPoint, counters: Counters) {
    this.#point = point
    this.#counters = counters
  }

  /** Takes the line that begins at `from`. @returns the index behind its newline, or -1: it must be read otherwise */
  take(bytes: Buffer, from: number, receivedAt: number): number {
    if (bytes[from] !== OPEN_BRACE) return -1
    const view = this.#viewOf(bytes)
    let at = from
    let node = this.#layouts.root
    for (let place = 0; ; place += 1) {
      const next = node.next(view, at)
      if (next === null) return this.#missed()
      at += next.literal.length
      if (next.leaf !== null) return this.#put(next.leaf, from, at, receivedAt)
      at = this.#value(next.kind, place, view, at)
      if (at < 0) return this.#missed()
      node = next
    }
  }

  #viewOf(bytes: Buffer): DataView {
    if (bytes !== this.#bytes) {
      this.#bytes = bytes
      this.#view = viewOf(bytes)
    }
    return this.#view
  }

  #missed(): number {
    this.#earn(1 / LINES_PER_CREDIT)
    return -1
  }

  #earn(credit: number): void {
    this.#credit = Math.min(MAX_CREDIT, this.#credit + credit)
  }

  /** Whether it is worth asking what was made of a line that was read otherwise. */
  get isCurious(): boolean {
    return this.#credit >= 1
  }

  /** Remembers the layout of a line that has become points. */
  learn(read: Read): void {
    this.#credit -= 1
    const template = templateOf(read)
    if (template !== null) this.#layouts.add(template)
  }

  /** The line from `from` up to `end` fits: its numbers become points. */
  #put(leaf: Leaf, from: number, end: number, receivedAt: number): number {
    const { step, time, places, series } = leaf
    const numbers = this.#numbers
    const stepValue = numbers[step]! + 0
    if (!Number.isSafeInteger(stepValue) || end - 1 - from > MAX_LINE_BYTES) return -1
    const ms = time === 'text' ? this.#time : time === null ? receivedAt : epochMs(numbers[time]!)!
    for (let i = 0; i < places.length; i += 1) this.#point(series[i]!, stepValue, ms, numbers[places[i]!]!)
    this.#counters.add(LINES, 1)
    this.#counters.add(EVENTS, 1)
    this.#counters.add(NUMBERS, places.length)
    this.#counters.add(POINTS, places.length)
    if (!leaf.hasComeAgain) this.#earn(1)
    leaf.hasComeAgain = true
    return end
  }

  /** Reads the value at `at`. @returns the index behind it, or -1: a line with this one is another matter */
  #value(kind: number, place: number, bytes: DataView, at: number): number {
    if (kind <= NO_DATE) {
      const end = readDecimal(bytes, at, this.#numbers, place)
      if (end < 0) return -1
      const value = this.#numbers[place]!
      if (kind !== NUMBER && (epochMs(value) !== null) !== (kind === DATE)) return -1
      return kind !== DATE && (value >= BIG || value <= -BIG) ? -1 : end
    }
    if (kind > MESSAGE) return endOfWord(bytes, at)
    const end = endOfText(bytes, at)
    return end < 0 || kind === STRING || this.#isOrdinary(kind, bytes, at + 1, end - 1) ? end : -1
  }

  /** Whether a text that decides over its line is a time that can be read, or a message like others. */
  #isOrdinary(kind: number, bytes: DataView, from: number, to: number): boolean {
    if (kind === TIME) {
      const ms = this.#stamps.read(bytes, from, to)
      this.#time = ms ?? 0
      return ms !== null
    }
    for (const { length, first } of CONFIG_WORDS)
      if (to - from === length && bytes.getUint8(from) === first) return false
    return true
  }
}

/** The index behind a text in quotes, or -1 where it has escapes. */
function endOfText(bytes: DataView, at: number): number {
  for (at += 1; ; at += 1) {
    const byte = bytes.getUint8(at)
    if (byte === QUOTE) return at + 1
    // A newline, too, ends what no text may hold.
    if (byte === BACKSLASH || byte < 32) return -1
  }
}

const WORDS = ['true', 'false', 'null'].map((word) => Buffer.from(word))

/** The index behind `true`, `false` or `null`, or -1. */
function endOfWord(bytes: DataView, at: number): number {
  for (const word of WORDS) {
    let i = 0
    while (i < word.length && bytes.getUint8(at + i) === word[i]) i += 1
    if (i === word.length) return at + i
  }
  return -1
}
