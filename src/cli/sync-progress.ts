import { isatty } from 'node:tty'
import { readJournal, type RunStatus } from '../journal/status.ts'
import type { Output } from '../telemetry/output.ts'
import { escapeControl, type Voice } from '../telemetry/say.ts'
import { number } from '../telemetry/words.ts'

/** How often a terminal sees how far it is, ... */
const BAR_MS = 300
/** ... and a log. */
const LINE_MS = 10_000
const BAR_WIDTH = 24

/** What is to be delivered of a run, in all destinations. */
function progressOf({ destinations, journaled }: RunStatus): { done: number; all: number } {
  let done = 0
  let all = 0
  for (const { state, points, spans } of destinations) {
    if (state === 'disabled') continue
    // A destination of spans takes no points, and counts none as pending.
    all += spans === null ? journaled.points : journaled.spans
    done += (spans === null ? journaled.points : journaled.spans) - (spans ?? points).pending
  }
  return { done, all }
}

const bar = (share: number): string => {
  const full = Math.floor(share * BAR_WIDTH)
  return `${'█'.repeat(full)}${'░'.repeat(BAR_WIDTH - full)}`
}

/** Shows how far the delivery of a journal is: as a bar on a terminal, else as a line now and then. */
export class Progress {
  readonly #journal: string
  readonly #output: Output
  readonly #voice: Voice
  readonly #isTerminal = isatty(2)
  readonly #timer: NodeJS.Timeout
  #isShown = false

  constructor(journal: string, output: Output, voice: Voice) {
    this.#journal = journal
    this.#output = output
    this.#voice = voice
    this.#timer = setInterval(() => this.#show(), this.#isTerminal ? BAR_MS : LINE_MS)
  }

  /** Takes the bar away, for a line that is to be written. */
  clear(): void {
    if (this.#isShown) this.#output.writeOver('')
    this.#isShown = false
  }

  end(): void {
    clearInterval(this.#timer)
    this.clear()
  }

  #show(): void {
    const status = this.#read()
    if (status === null) return
    const { done, all } = progressOf(status)
    if (all === 0) return
    const text = `${escapeControl(status.name)}: ${number(done)} of ${number(all)}`
    if (!this.#isTerminal) return this.#voice.say(`sync: ${text}`)
    this.#isShown = true
    this.#output.writeOver(`${bar(done / all)} ${text}`)
  }

  #read(): RunStatus | null {
    try {
      return readJournal(this.#journal)
    } catch {
      return null // it is moved or damaged, of which the delivery tells
    }
  }
}
