import type { Mark, Opened } from '../../channel/messages.ts'
import type { LineStream } from '../lines/index.ts'
import { parseLine } from '../lines/parse.ts'
import type { BegunLines, Screen } from '../lines/run.ts'
import { Follower } from './follower.ts'
import type { FollowedFile, FileSink } from './followed-file.ts'
import { type FileMark } from './mark.ts'

/** Pause between two looks; ... */
const PAUSE_MS = 250
/** ... longer where one takes long: thousands of files are looked at for a tenth of the time at most. */
const PAUSE_FACTOR = 10

/** Share of the channel's pool above which files are read later. */
const CROWDED = 0.5

export interface FileReceiverOptions {
  /** Absolute paths and globs. */
  patterns: readonly string[]
  fromStart: boolean
  /** Begins the run of the files, or goes on with it; called again when it has ended for want of lines. */
  begin: () => BegunLines
  /** The run ends when nothing has come for this long, and begins again with the next line; null: it is not ours to end. */
  idleMs: number | null
  /** Where the console, if there is one, shows the events; null: nowhere. */
  screen: Screen | null
  /** UTC ms. */
  now: () => number
  say: (text: string) => void
  /** A fault of ours: the files are followed no more. */
  onFault: (error: Error) => void
}

/**
 * Follows files. What is read of one and how far it has been read are committed together, so that a process which goes on
 * with the run takes every line once. Files are looked at by polling: notifications of the system come neither from
 * network file systems nor from other containers, and say nothing that a look does not.
 */
export class FileReceiver {
  readonly #options: FileReceiverOptions
  readonly #streams = new Map<FollowedFile, LineStream>()
  #follower: Follower | null = null
  #lines: BegunLines | null = null
  #lastAt: number
  #isStopping = false
  #deadline: number | null = null
  #wake: () => void = () => {}
  readonly #loop: Promise<void>
  readonly #ready = Promise.withResolvers<Opened>()

  constructor(options: FileReceiverOptions) {
    this.#options = options
    this.#lastAt = options.now()
    this.#ready.promise.catch(() => {}) // told by `onFault`
    this.#loop = this.#run().catch((error: unknown) => this.#fail(error))
  }

  /** Resolves when the files have been looked at for the first time, with what is known of the run. */
  get ready(): Promise<Opened> {
    return this.#ready.promise
  }

  /** How many files are followed. */
  get count(): number {
    return this.#follower?.files.length ?? 0
  }

  /**
   * Ends the following. What has come up to now is read within `restMs` (null: however long it takes); the rest is for
   * whoever goes on.
   */
  async stop(restMs: number | null): Promise<void> {
    this.#isStopping = true
    this.#wake()
    await this.#loop
    const follower = this.#follower
    if (follower === null) return
    if (restMs !== 0) {
      this.#isStopping = false
      this.#deadline = restMs === null ? null : performance.now() + restMs
      await follower.poll().catch((error: unknown) => this.#fail(error))
    }
    for (const [copy, original] of follower.copies)
      this.#options.say(`${copy} holds nothing that ${original} does not hold: it was not read a second time`)
    await follower.close()
  }

  /** Ends the run of the files, if it is theirs alone. `time` is UTC ms. */
  async end(time: number): Promise<void> {
    const { run } = this.#lines ?? {}
    if (run === undefined || this.#options.idleMs === null) return
    await run.end()
    run.producer.post({ kind: 'end', status: 'FINISHED', time })
  }

  async #run(): Promise<void> {
    const opened = await this.#begin()
    const { patterns, fromStart, say } = this.#options
    const sink = {
      take: (...given: Parameters<FileSink['take']>) => this.#take(...given),
      truncated: (file: FollowedFile) => this.#cut(file),
      room: () => this.#room(),
      marks: (marks: readonly Mark[]) => this.#keep(marks),
      closed: (file: FollowedFile) => this.#unfinished(file),
    }
    this.#follower = new Follower({ patterns, fromStart, sink, now: () => performance.now(), say }, opened.marks)
    while (!this.#isStopping) {
      const from = performance.now()
      const came = await this.#follower.poll()
      const took = performance.now() - from
      if (came) this.#lastAt = this.#options.now()
      else await this.#endIdle()
      this.#ready.resolve(opened)
      await this.#pause(came ? PAUSE_MS : Math.max(PAUSE_MS, PAUSE_FACTOR * took))
    }
  }

  async #begin(): Promise<Opened> {
    this.#lines = this.#options.begin()
    const opened = await this.#lines.opened
    // A run that begins after another one of these files must know them all.
    if (this.#follower !== null) this.#keep(this.#follower.marks())
    return opened
  }

  /** One piece of a file, and how far that is: together or not at all. */
  #take(file: FollowedFile, bytes: Buffer, mark: FileMark | null): void {
    const stream = this.#streamOf(file)
    this.#lines!.channel.whole(() => {
      stream.push(bytes)
      if (mark !== null) this.#post([[file.id, JSON.stringify(mark)]])
    })
  }

  #streamOf(file: FollowedFile): LineStream {
    let stream = this.#streams.get(file)
    if (stream === undefined) this.#streams.set(file, (stream = this.#lines!.run.stream(this.#options.screen)))
    return stream
  }

  /** What stood at the end of a file that was cut will not be completed any more. */
  #cut(file: FollowedFile): void {
    this.#lines?.channel.whole(() => {
      this.#streams.get(file)?.end()
      this.#streams.delete(file)
      this.#post([[file.id, JSON.stringify(file.mark)]])
    })
  }

  #keep(marks: readonly Mark[]): void {
    if (this.#lines !== null && marks.length > 0) this.#lines.channel.whole(() => this.#post(marks))
  }

  #post(marks: readonly Mark[]): void {
    this.#lines!.run.producer.post({ kind: 'marks', marks })
  }

  /**
   * Nothing more is read of a file for now. A last line without its end is taken if it is an event, else it is counted, and
   * read again should it be completed.
   */
  async #unfinished(file: FollowedFile): Promise<void> {
    const bytes = file.torn > 0 ? await file.unfinished() : null
    file.rest(bytes !== null && isEvent(bytes))
    this.#cut(file)
  }

  /** Resolves when there is room in the channel, and a run that takes what has come; false: nothing is taken any more. */
  async #room(): Promise<boolean> {
    if (this.#lines === null) await this.#begin()
    const { channel } = this.#lines!
    while (channel.used >= CROWDED && !channel.isClosed && !this.#isStopping)
      await new Promise<void>((resolve) => {
        channel.whenRoom(resolve)
        this.#wake = resolve
      })
    const isLate = this.#deadline !== null && performance.now() > this.#deadline
    return !channel.isClosed && !this.#isStopping && !isLate
  }

  async #endIdle(): Promise<void> {
    const { idleMs, now } = this.#options
    const lines = this.#lines
    if (idleMs === null || lines === null || now() - this.#lastAt < idleMs) return
    for (const file of this.#follower!.files) await this.#unfinished(file)
    await this.end(this.#lastAt)
    lines.channel.leave(lines.run.producer)
    this.#lines = null
  }

  #pause(ms: number): Promise<void> {
    if (this.#isStopping) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  #fail(error: unknown): void {
    this.#ready.reject(error)
    this.#options.onFault(error instanceof Error ? error : new Error(String(error)))
  }
}

function isEvent(bytes: Buffer): boolean {
  const parsed = parseLine(bytes.toString())
  return parsed !== null && typeof parsed === 'object'
}
