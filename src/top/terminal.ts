import { writeSync } from 'node:fs'
import type { ReadStream, WriteStream } from 'node:tty'
import type { Output } from '../telemetry/output.ts'
import type { Frame } from './frame.ts'
import { keysIn } from './keys.ts'
import type { Depth } from './theme.ts'

/** The alternate screen, no cursor, no wrapping at the edge. */
const ENTER = '\x1b[?1049h\x1b[?25l\x1b[?7l'
const LEAVE = '\x1b[?2026l\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l'

/** Terminals that know it show what stands between these at once; others do not care. */
const BEGIN = '\x1b[?2026h'
const END = '\x1b[?2026l'

/** Used where a terminal does not say how large it is. */
const FALLBACK = { width: 80, height: 24 }

export interface TerminalOptions {
  input: ReadStream
  /** Asked for its size; what is written goes to `output`, which never waits. */
  screen: WriteStream
  output: Output
  depth: Depth
}

/** The window of a user: its keys, its size, and what it shows. However the process ends, it is left as it was. */
export class Terminal {
  readonly #options: TerminalOptions
  readonly #restore = (): void => this.#leave()
  #shown: Frame | null = null
  #isIn = false
  onKey: (key: string) => void = () => {}
  onResize: () => void = () => {}
  /** The window has gone. */
  onEnd: () => void = () => {}

  constructor(options: TerminalOptions) {
    this.#options = options
    const { input, screen } = options
    input.on('data', (bytes: Buffer) => {
      for (const key of keysIn(bytes.toString())) this.onKey(key)
    })
    input.on('end', () => this.onEnd())
    input.on('error', () => this.onEnd())
    screen.on('resize', () => {
      this.#shown = null
      this.onResize()
    })
    process.on('exit', this.#restore)
    // Before what is said of a fault, which would go down with the other screen.
    process.prependListener('uncaughtException', this.#restore)
    process.prependListener('unhandledRejection', this.#restore)
  }

  get size(): { width: number; height: number } {
    const { columns, rows } = this.#options.screen
    return { width: columns || FALLBACK.width, height: rows || FALLBACK.height }
  }

  enter(): void {
    this.#isIn = true
    this.#shown = null
    this.#options.input.setRawMode(true)
    this.#options.input.resume()
    this.#options.output.write(Buffer.from(ENTER))
  }

  /** Shows a frame, as far as it differs from the last. One that would have to wait for a slow line is left out. */
  show(frame: Frame): void {
    const { output, depth } = this.#options
    if (!this.#isIn || output.unread > 0) return
    const changes = frame.changesFrom(this.#shown, depth)
    this.#shown = frame
    if (changes !== '') output.write(Buffer.from(`${BEGIN}${changes}${END}`))
  }

  /** Whether the last frame is on its way and the next would be left out. */
  get isBusy(): boolean {
    return this.#options.output.unread > 0
  }

  /** Gives the window back to the shell until `fg`. */
  suspend(): void {
    this.#leave()
    process.once('SIGCONT', () => {
      this.enter()
      this.onResize()
    })
    process.kill(process.pid, 'SIGTSTP')
  }

  close(): void {
    this.#leave()
    this.#options.input.pause()
    process.removeListener('exit', this.#restore)
    process.removeListener('uncaughtException', this.#restore)
    process.removeListener('unhandledRejection', this.#restore)
  }

  #leave(): void {
    if (!this.#isIn) return
    this.#isIn = false
    try {
      this.#options.input.setRawMode(false)
      writeSync(1, LEAVE)
    } catch {
      // The window has gone.
    }
  }
}
