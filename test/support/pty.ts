import { fileURLToPath } from 'node:url'
import xterm from '@xterm/headless'
import { start, SPANBRIDGE, type Running } from './spanbridge.ts'

const BRIDGE = fileURLToPath(new URL('terminal.py', import.meta.url))

export interface PtyOptions {
  columns: number
  rows: number
  env?: Record<string, string>
}

export interface Ended {
  /** A negative one is a signal. */
  code: number
  /** The terminal echoes and takes lines as before. */
  restored: boolean
}

/** `spanbridge` in a terminal, as a user sees it. */
export class Pty {
  readonly #running: Running
  readonly #terminal: InstanceType<typeof xterm.Terminal>
  #looks: (() => void)[] = []
  #isWhole = true
  /** Everything that the terminal was sent. */
  sent = ''

  constructor(args: readonly string[], { columns, rows, env = {} }: PtyOptions) {
    this.#terminal = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true })
    this.#running = start('python3', [BRIDGE, String(columns), String(rows), SPANBRIDGE, ...args], {
      env: { TERM: 'xterm-256color', TZ: 'UTC', ...env },
    })
    this.#running.child.stdout.on('data', (bytes: Buffer) => {
      this.sent += bytes.toString()
      // A frame may come in pieces; nobody sees half of one. The terminal is told of it when it has taken this piece, behind which more may have come.
      const isWhole = this.sent.lastIndexOf('\x1b[?2026h') <= this.sent.lastIndexOf('\x1b[?2026l')
      this.#terminal.write(bytes, () => {
        this.#isWhole = isWhole
        this.#looks.forEach((look) => look())
      })
    })
  }

  get pid(): number {
    return this.#running.child.pid!
  }

  /** What stands on the screen. */
  get rows(): string[] {
    const { active } = this.#terminal.buffer
    return Array.from({ length: this.#terminal.rows }, (_, y) =>
      active.getLine(active.viewportY + y)!.translateToString(true),
    )
  }

  get screen(): string {
    return this.rows.join('\n')
  }

  /** Whether the screen of full-window programs is shown. */
  get isAlternate(): boolean {
    return this.#terminal.buffer.active.type === 'alternate'
  }

  keys(keys: string): void {
    this.#send({ keys })
  }

  resize(columns: number, rows: number): void {
    this.#terminal.resize(columns, rows)
    this.#send({ size: [columns, rows] })
  }

  signal(signal: number): void {
    this.#send({ signal })
  }

  /** Resolves with the screen once it matches. */
  shows(expression: RegExp): Promise<string> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (!this.#isWhole || !expression.test(this.screen)) return
        this.#looks = this.#looks.filter((other) => other !== look)
        resolve(this.screen)
      }
      this.#looks.push(look)
      look()
      const end = (): void => reject(new Error(`ended without ${expression}:\n${this.screen}`))
      void this.#running.finished.then(look).then(end)
    })
  }

  async ended(): Promise<Ended> {
    const { stderr } = await this.#running.finished
    return JSON.parse(stderr.trim().split('\n').at(-1)!) as Ended
  }

  #send(command: object): void {
    this.#running.child.stdin.write(`${JSON.stringify(command)}\n`)
  }
}
