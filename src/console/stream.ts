import type { AsWritten, TracingEvent } from '../layer/event.ts'
import type { LineStream, LineTap } from '../receivers/lines/index.ts'
import { MAX_LINE_BYTES } from '../receivers/lines/split.ts'
import type { Output } from '../telemetry/output.ts'
import type { Renderer } from './render.ts'

/**
 * The terminal is slow with this much unread where nothing has left for a while, ... Events are then counted instead of
 * shown. A burst of input alone is no slowness: two megabytes of it are read at a time.
 */
const SLOW_UNREAD = 1 << 20
const SLOW_MS = 200
/** ... or with this much, before the trainer's own output would have to wait. */
const MAX_UNREAD = 3 << 20

const NEWLINE = 10
const CARRIAGE_RETURN = 13

export interface ConsoleOptions {
  renderer: Renderer
  /** Where lines that are no events go, byte for byte; null: nowhere. */
  text: Output | null
  /** Where events are shown. */
  events: Output
  /** Begins to read lines, telling `tap` of those that are events. */
  open: (tap: LineTap) => LineStream
  /** An event was not shown because the terminal is slow. */
  onSkipped: () => void
}

/**
 * One stream of a trainer's output as people read it: each event is one rendered line in place of its JSON, and
 * everything else passes through as it comes. Only what may still become an event is held back, so that progress bars
 * move and prompts show.
 */
export class ConsoleStream {
  readonly #options: ConsoleOptions
  /** Of the unfinished line, what may be an event: from its last carriage return on. */
  #held: Buffer[] = []
  #heldBytes = 0
  /** What the unfinished line is, up to a carriage return at least. */
  #kind: Kind = 'open'
  #shown: string | null = null
  readonly #lines: LineStream

  constructor(options: ConsoleOptions) {
    this.#options = options
    this.#lines = options.open((event, text, asWritten) => {
      this.#shown = event === null ? '' : this.#render(event, text, asWritten)
    })
  }

  push(chunk: Buffer): void {
    for (let from = 0; from < chunk.length;) {
      const newline = chunk.indexOf(NEWLINE, from)
      const to = newline < 0 ? chunk.length : newline + 1
      const piece = chunk.subarray(from, to)
      this.#hold(piece)
      try {
        // Piece by piece, so that the tap speaks of the line that this piece ends.
        this.#lines.push(piece)
      } catch (error) {
        this.#passHeld()
        this.#options.text?.write(chunk.subarray(to))
        throw error
      }
      if (newline < 0) this.#passWhatIsText()
      else this.#endLine()
      from = to
    }
  }

  /** Shows what is held: nobody reads it any more. */
  release(): void {
    this.#passHeld()
  }

  end(): void {
    try {
      this.#lines.end()
    } finally {
      if (this.#heldBytes > 0 || this.#shown !== null) this.#endLine()
    }
  }

  /** The line is whole: what it was is known. A progress bar before an event on the same line stays. */
  #endLine(): void {
    const { text, events } = this.#options
    if (this.#shown === null) this.#passHeld()
    else {
      text?.write(barOf(this.#take()))
      if (this.#shown !== '') events.write(Buffer.from(`${this.#shown}\n`))
    }
    this.#shown = null
    this.#kind = 'open'
  }

  #render(event: TracingEvent, text: string, asWritten: () => AsWritten): string {
    const { renderer, events, onSkipped } = this.#options
    const isSlow = events.unread > MAX_UNREAD || (events.unread > SLOW_UNREAD && events.stands(SLOW_MS))
    if (!isSlow) return renderer.render(event, text, asWritten)
    onSkipped()
    return ''
  }

  #hold(bytes: Buffer): void {
    this.#held.push(bytes)
    this.#heldBytes += bytes.length
  }

  #take(): Buffer {
    const bytes = this.#held.length === 1 ? this.#held[0]! : Buffer.concat(this.#held)
    this.#held = []
    this.#heldBytes = 0
    return bytes
  }

  #passHeld(): void {
    if (this.#heldBytes > 0) this.#options.text?.write(this.#take())
  }

  /** Shows what of an unfinished line can be no event any more. */
  #passWhatIsText(): void {
    const piece = this.#held.at(-1)!
    const isReturnOpen = this.#held.at(-2)?.at(-1) === CARRIAGE_RETURN
    // Held from an opening brace on: nothing to look at until the line ends, is drawn over, or is too long for an event.
    const isPlain = !isReturnOpen && withoutReturnAtEnd(piece).lastIndexOf(CARRIAGE_RETURN) < 0
    if (this.#kind === 'event' && isPlain && this.#heldBytes <= MAX_LINE_BYTES) return
    const bytes = this.#take()
    // A return at the very end may belong to a CRLF: it is looked at with what follows.
    const looked = withoutReturnAtEnd(bytes)
    const back = Math.max(0, looked.lastIndexOf(CARRIAGE_RETURN))
    if (this.#kind !== 'text' || looked[back] === CARRIAGE_RETURN) this.#kind = kindOf(looked.subarray(back))
    if (looked.length - back > MAX_LINE_BYTES) this.#kind = 'text'
    const passed = this.#kind === 'text' ? looked.length : back
    this.#options.text?.write(bytes.subarray(0, passed))
    if (passed < bytes.length) this.#hold(bytes.subarray(passed))
  }
}

const withoutReturnAtEnd = (bytes: Buffer): Buffer => (bytes.at(-1) === CARRIAGE_RETURN ? bytes.subarray(0, -1) : bytes)

/** What stands before an event on its line: progress bars, up to the last carriage return that is none of its ending. */
function barOf(line: Buffer): Buffer {
  const whole = withoutReturnAtEnd(line.at(-1) === NEWLINE ? line.subarray(0, -1) : line)
  return line.subarray(0, whole.lastIndexOf(CARRIAGE_RETURN) + 1)
}

/** `event`: begins like one; `open`: too short to tell. */
type Kind = 'event' | 'text' | 'open'

/** Blanks, a byte order mark and colour codes, as they may stand before an event; bytes as Latin-1. */
// oxlint-disable-next-line no-control-regex -- the escape character is what is looked for
const NOISE = /^(?:\s|\xEF\xBB\xBF|\x1b\[[0-?]*[ -/]*[@-~])*/

/** The beginning of such noise that has been cut off. */
// oxlint-disable-next-line no-control-regex -- as above
const CUT_OFF = /^(?:\x1b(?:\[[0-?]*[ -/]*)?|\xEF\xBB?)?$/

/** Longest noise before an event that is waited for. */
const MAX_NOISE = 256

function kindOf(bytes: Buffer): Kind {
  const rest = bytes.toString('latin1', 0, MAX_NOISE).replace(NOISE, '')
  if (rest.startsWith('{')) return 'event'
  return CUT_OFF.test(rest) && bytes.length < MAX_NOISE ? 'open' : 'text'
}
