import { isUtf8 } from 'node:buffer'

/** Longest line in bytes that is read; a longer one passes through and is counted. */
export const MAX_LINE_BYTES = 1 << 20

const NEWLINE = 10
const CARRIAGE_RETURN = 13
const END_OF_LINE = Buffer.of(NEWLINE)

/** What the splitter found. Lines carry no newline. */
export interface LineSink {
  /** `sound`: the bytes were UTF-8; else the broken ones stand as U+FFFD. */
  line(text: string, sound: boolean): void
  tooLong(): void
  /** What stood behind the last newline when the input ended. */
  last(text: string, sound: boolean): void
}

/**
 * May take the line of `bytes` that begins at `from`, and ends before a newline. Returns the index behind the newline, or
 * -1: the line is wanted as a text.
 */
export type TakeLine = (bytes: Buffer, from: number) => number

/**
 * Cuts chunks of bytes into lines. Holds at most one unfinished line of `MAX_LINE_BYTES`; of a longer one it keeps
 * nothing and reads on to its end.
 */
export class LineSplitter {
  readonly #sink: LineSink
  readonly #take: TakeLine | null
  #carry: Buffer[] = []
  #carryBytes = 0
  #tooLong = false
  /** A carriage return is the last that came of the unfinished line. */
  #isAtReturn = false

  /** `take` is asked before a line is made a text of, unless it is broken or was drawn over. */
  constructor(sink: LineSink, take: TakeLine | null = null) {
    this.#sink = sink
    this.#take = take
  }

  push(chunk: Buffer): void {
    const first = chunk.indexOf(NEWLINE)
    if (first < 0) {
      this.#keep(chunk)
      return
    }
    this.#keep(chunk.subarray(0, first))
    this.#flush((text, sound) => this.#sink.line(text, sound), this.#take)
    const last = chunk.lastIndexOf(NEWLINE)
    if (last > first) this.#whole(chunk.subarray(first + 1, last + 1))
    if (last + 1 < chunk.length) this.#keep(chunk.subarray(last + 1))
  }

  end(): void {
    if (this.#carryBytes > 0 || this.#tooLong) this.#flush((text, sound) => this.#sink.last(text, sound), null)
  }

  /** Lines that lie whole in one chunk, each with its newline; most often nothing in them is broken or was drawn over. */
  #whole(bytes: Buffer): void {
    const isPlain = isUtf8(bytes) && !bytes.includes(CARRIAGE_RETURN)
    for (let from = 0; from < bytes.length;) {
      const behind = isPlain && this.#take !== null ? this.#take(bytes, from) : -1
      if (behind > 0) {
        from = behind
        continue
      }
      const to = bytes.indexOf(NEWLINE, from)
      if (isPlain) {
        const line = bytes.toString('utf8', from, to)
        this.#emit(line, true, line.length)
      } else {
        const line = behindReturn(bytes.subarray(from, to))
        this.#emit(line.toString(), isUtf8(line), line.length)
      }
      from = to + 1
    }
  }

  /** `length` may be in UTF-16 units: a line within one chunk is far below the limit unless the chunk is huge. */
  #emit(line: string, sound: boolean, length: number): void {
    if (length * 3 > MAX_LINE_BYTES && Buffer.byteLength(line) > MAX_LINE_BYTES) this.#sink.tooLong()
    else this.#sink.line(line, sound)
  }

  #keep(bytes: Buffer): void {
    const rest = behindReturn(bytes)
    const isDrawnOver = rest.length < bytes.length || (this.#isAtReturn && endOfText(bytes) > 0)
    if (bytes.length > 0) this.#isAtReturn = bytes.at(-1) === CARRIAGE_RETURN
    if (isDrawnOver) {
      this.#carry = []
      this.#carryBytes = 0
      this.#tooLong = false
    }
    if (this.#tooLong) return
    this.#carryBytes += rest.length
    if (this.#carryBytes > MAX_LINE_BYTES) {
      this.#tooLong = true
      this.#carry = []
    } else if (rest.length > 0) {
      this.#carry.push(rest)
    }
  }

  #flush(emit: (text: string, sound: boolean) => void, take: TakeLine | null): void {
    const bytes = this.#carry.length === 1 ? this.#carry[0]! : Buffer.concat(this.#carry)
    const tooLong = this.#tooLong
    this.#carry = []
    this.#carryBytes = 0
    this.#tooLong = false
    this.#isAtReturn = false
    if (tooLong) {
      this.#sink.tooLong()
      return
    }
    const sound = isUtf8(bytes)
    if (sound && take !== null && take(Buffer.concat([bytes, END_OF_LINE]), 0) > 0) return
    emit(bytes.toString(), sound)
  }
}

/** Where the carriage returns begin that a line ends with: they draw nothing over, and belong to its CRLF. */
function endOfText(line: Buffer): number {
  let end = line.length
  while (end > 0 && line[end - 1] === CARRIAGE_RETURN) end -= 1
  return end
}

/**
 * What is left of a line on a terminal: what stands before a carriage return has been drawn over, and is never read. So
 * a progress bar of hours is no long line.
 */
function behindReturn(line: Buffer): Buffer {
  const end = endOfText(line)
  const back = end === 0 ? -1 : line.lastIndexOf(CARRIAGE_RETURN, end - 1)
  return back < 0 ? line : line.subarray(back + 1)
}
