import { basename } from 'node:path'
import type { Mark, Opened } from '../../channel/messages.ts'
import { parseLine } from '../lines/parse.ts'
import type { LineFormat, TableState } from '../lines/presets.ts'
import type { BegunLines, LinesOfRun, Screen } from '../lines/run.ts'
import { Follower } from './follower.ts'
import { foreignIn } from './foreign.ts'
import type { FollowedFile, FileSink, OpenFile } from './followed-file.ts'
import { endOfRows, replay } from './tables.ts'

/** Pause between two looks; ... */
const PAUSE_MS = 250
/** ... longer where one takes long, for thousands of files: ten times as long as that, ... */
const PAUSE_FACTOR = 10
/** ... but no longer than this. */
const LONGEST_PAUSE_MS = 2000

/** So often a table that is being written anew is looked at: writing takes a moment. */
const MOST_LOOKS = 4

const TRAINER_STATE = 'trainer_state.json'

/** Share of the channel's pool above which files are read later. */
const CROWDED = 0.5

/** What takes the bytes of a file that holds no lines. */
const NOTHING: LinesOfRun = { format: null, push: () => {}, end: () => {}, release: () => {} }

export interface FileReceiverOptions {
  /** Absolute paths and globs. */
  patterns: readonly string[]
  fromStart: boolean
  /** What was there before anybody could write, see `filesNow`; else what is found at the first look. */
  before?: ReadonlyMap<string, number>
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
  readonly #streams = new Map<FollowedFile, LinesOfRun>()
  /** Files that hold no lines of UTF-8. */
  readonly #foreign = new WeakSet<FollowedFile>()
  /** How often files were looked at that are being written anew. */
  readonly #looks = new Map<FollowedFile, number>()
  #follower: Follower | null = null
  #lines: BegunLines | null = null
  #lastAt: number
  #isStopping = false
  /** What was read last may not have been taken: how far that was is no longer kept. */
  #isBroken = false
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

  /** Resolves when the files have been looked at for the first time, and that is in the journal, with what is known of the run. */
  get ready(): Promise<Opened> {
    return this.#ready.promise
  }

  /** It has been told to end, perhaps before it has looked for files. */
  get isStopping(): boolean {
    return this.#isStopping
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
    if (restMs !== 0 && !this.#isBroken) {
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
    const { patterns, fromStart, before, say } = this.#options
    const sink = {
      take: (...given: Parameters<FileSink['take']>) => this.#take(...given),
      cut: (file: FollowedFile) => this.#cut(file),
      moved: (file: FollowedFile) => this.#endStream(file),
      ready: (file: FollowedFile) => this.#isReady(file),
      marks: (marks: readonly Mark[]) => this.#keep(marks),
      began: async (file: FollowedFile) => void (await this.#isForeign(file)),
      closed: (file: FollowedFile) => this.#unfinished(file),
      endOfRows: (file: OpenFile, path: string, former: TableState) => this.#endOfRows(file, path, former),
    }
    this.#follower = new Follower(
      { patterns, fromStart, before, sink, now: () => performance.now(), say },
      opened.marks,
    )
    let isFirst = true
    while (!this.#isStopping) {
      const from = performance.now()
      const came = await this.#follower.poll()
      const took = performance.now() - from
      if (isFirst) void this.#lines?.channel.barrier([]).then(() => this.#ready.resolve(opened))
      isFirst = false
      if (came) this.#lastAt = this.#options.now()
      else await this.#endIdle()
      await this.#pause(came ? PAUSE_MS : Math.min(LONGEST_PAUSE_MS, Math.max(PAUSE_MS, PAUSE_FACTOR * took)))
    }
  }

  async #begin(): Promise<Opened> {
    this.#lines = this.#options.begin()
    const opened = await this.#lines.opened
    // A run is idle from its beginning at the earliest.
    this.#lastAt = this.#options.now()
    // A run that begins after another one of these files must know them all.
    if (this.#follower !== null) this.#keep(this.#follower.marks())
    return opened
  }

  /** One piece of a file, and how far that is: together or not at all. */
  #take(file: FollowedFile, bytes: Buffer, isLine: boolean): void {
    const stream = this.#streams.get(file)!
    this.#lines!.channel.whole(() => {
      stream.push(bytes)
      file.table = stream.format?.table ?? null
      if (isLine) this.#post([[file.id, JSON.stringify(file.mark)]])
    })
  }

  /** Whether a file holds something else than lines of UTF-8, which is said, and counted as a line that is no event. */
  async #isForeign(file: FollowedFile): Promise<boolean> {
    const words = foreignIn(file.path, await file.head())
    if (words === null) this.#foreign.delete(file)
    else if (!this.#foreign.has(file)) {
      this.#foreign.add(file)
      this.#options.say(words)
      this.#lines?.run.unreadable(words)
    }
    return words !== null
  }

  /** The lines of a file that is read from where it is on; what stands before that tells whether they are a table. */
  async #open(file: FollowedFile): Promise<void> {
    if (await this.#isForeign(file)) {
      this.#streams.set(file, NOTHING)
      return
    }
    const stream = this.#lines!.run.stream(this.#options.screen, file.path)
    if (stream.format !== null) {
      await this.#recall(file)
      await replay(file.handle, stream.format, file.mark.offset)
    }
    this.#streams.set(file, stream)
  }

  /** Each checkpoint of Hugging Face's Trainer holds the history of those before: what was read of them is not taken again. */
  async #recall({ path }: FollowedFile): Promise<void> {
    if (basename(path) !== TRAINER_STATE) return
    for (const other of this.#follower!.files) {
      const format =
        basename(other.path) === TRAINER_STATE && !this.#streams.has(other) ? this.#lines!.run.format(other.path) : null
      if (format !== null) await replay(other.handle, format, other.mark.offset)
    }
  }

  /** A file was cut, or is a table that is being written anew: with the same rows, or it becomes known that it is not. */
  async #cut(file: FollowedFile): Promise<number | null> {
    const { table } = file
    if (table === null || table.rows === 0) return 0
    const { size } = await file.handle.stat()
    const offset = await this.#endOfRows({ ...file, size }, file.path, table)
    const looks = (this.#looks.get(file) ?? 0) + 1
    if (offset === null && looks < MOST_LOOKS) {
      this.#looks.set(file, looks)
      return null
    }
    this.#looks.delete(file)
    return offset ?? 0
  }

  async #endOfRows({ handle, size }: OpenFile, path: string, former: TableState): Promise<number | null> {
    if (this.#lines === null) await this.#begin()
    const format = this.#lines!.run.format(path)
    return format === null ? null : endOfRows(handle, size, { former, format })
  }

  /** Ends the lines of a file here: what is unfinished will not be completed. */
  #endStream(file: FollowedFile): void {
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
    if (!this.#isBroken) this.#lines!.run.producer.post({ kind: 'marks', marks })
  }

  /**
   * Nothing more is read of a file for now. A last line without its end is taken if it is an event, else it is counted, and
   * read again should it be completed.
   */
  async #unfinished(file: FollowedFile): Promise<void> {
    const bytes = file.torn > 0 ? await file.unfinished() : null
    const format = this.#streams.get(file)?.format ?? null
    file.rest(bytes !== null && isEvent(bytes.toString(), format))
    this.#endStream(file)
  }

  /** Resolves when there is room in the channel, and a run that takes what has come; false: nothing is taken any more. */
  async #isReady(file: FollowedFile): Promise<boolean> {
    if (this.#lines === null) await this.#begin()
    if (!this.#streams.has(file)) await this.#open(file)
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
    this.#isBroken = true
    this.#ready.reject(error)
    this.#options.onFault(error instanceof Error ? error : new Error(String(error)))
  }
}

/** Whether a line without its end is one all the same. Of a row nobody can tell whether its last number is whole. */
function isEvent(line: string, format: LineFormat | null): boolean {
  if (format !== null && format.table !== null) return false
  const parsed = parseLine(format?.read(line) ?? line)
  return parsed !== null && typeof parsed === 'object'
}
