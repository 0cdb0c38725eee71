import type { BigIntStats } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { Mark } from '../../channel/messages.ts'
import type { TableState } from '../lines/presets.ts'
import {
  FollowedFile,
  idOf,
  lastLineOf,
  openRegular,
  type FileSink,
  type OpenFile,
  type Seen,
} from './followed-file.ts'
import { formerKey, LostMarks } from './lost.ts'
import { readAt, TAIL_BYTES } from './mark.ts'
import { expand } from './patterns.ts'

/** Most files that are followed at a time: each is held open. */
export const MAX_FILES = 4096
/** Asked for at a time. */
const STATS_AT_ONCE = 32
/** A file without its name is held this long after the last of it: its writer may not have let go of it. */
const KEEP_MS = 60_000

/** Says that the files have been looked for once, so that one which is found later has come later. */
const SINCE = 'since'

/** A file that is a copy of another one, as far as it goes, at a time when that had been cut so often. */
interface HeldCopy {
  original: FollowedFile
  size: number
  cuts: number
}

export interface FollowerOptions {
  /** Absolute. */
  patterns: readonly string[]
  /** Files that are there already are read from their beginning. */
  fromStart: boolean
  /** Sizes of the files that were there when it all began, by id; else those of the first look. */
  before?: ReadonlyMap<string, number> | undefined
  sink: FileSink & {
    /** Is to be kept with what was taken. */
    marks(marks: readonly Mark[]): void
    /** A file is followed from now on. */
    began(file: FollowedFile): Promise<void>
    /** A file is let go of: nothing comes of it any more. */
    closed(file: FollowedFile): Promise<void>
    /** Where the rows end in a table written anew that were taken of it before; null: it has other ones. */
    endOfRows(file: OpenFile, path: string, former: TableState): Promise<number | null>
  }
  /** In ms, of any origin. */
  now: () => number
  say: (text: string) => void
}

/**
 * The files that some patterns stand for, each by its inode: one that was renamed is read to its end, one that has come
 * in its place from its beginning, and a copy of what was read already is not read again.
 */
export class Follower {
  readonly #options: FollowerOptions
  readonly #files = new Map<string, FollowedFile>()
  readonly #quietSince = new Map<FollowedFile, number>()
  readonly #lost: LostMarks
  #isFirst: boolean
  readonly #said = new Set<string>()
  /** Copies that are held back, by path. */
  #copies = new Map<string, HeldCopy>()

  /** `marks`: how far an earlier process has read. */
  constructor(options: FollowerOptions, marks: readonly Mark[]) {
    this.#options = options
    this.#isFirst = !marks.some(([key]) => key === SINCE)
    this.#lost = new LostMarks(marks)
  }

  get files(): FollowedFile[] {
    return [...this.#files.values()]
  }

  /** Paths of files that hold nothing but what another one holds, and of those others. */
  get copies(): [copy: string, original: string][] {
    return [...this.#copies].map(([path, { original }]) => [path, original.path])
  }

  /** Every mark there is: what a run is told that goes on with these files. */
  marks(): Mark[] {
    const live = this.files.map((file): Mark => [file.id, JSON.stringify(file.mark)])
    return [[SINCE, 'yes'], ...this.#lost.all, ...live]
  }

  /** Looks once, and reads what has come. @returns whether something has */
  async poll(): Promise<boolean> {
    const { paths, seen } = await this.#namesNow()
    const known = this.files
    let came = false
    for (const file of known) {
      file.isGone = !seen.has(file.id)
      if (file.isGone) came = (await this.#read(file, null)) || came
    }
    for (const file of known) if (!file.isGone) came = (await this.#read(file, seen.get(file.id)!)) || came
    // Those that are known go first: another one may be a copy of them.
    const isUnknown = ([, id]: [string, string]): number => (this.#lost.has(id) ? 0 : 1)
    const newcomers = [...paths].filter(([, id]) => !this.#files.has(id))
    await this.#admit(newcomers.sort((a, b) => isUnknown(a) - isUnknown(b)).map(([path]) => path))
    if (this.#isFirst) this.#options.sink.marks(this.marks())
    this.#isFirst = false
    for (const file of this.files.slice(known.length)) came = (await this.#read(file, null)) || came
    for (const file of known) if (file.isGone) await this.#letGoOf(file)
    return came
  }

  async close(): Promise<void> {
    for (const file of this.files) await this.#close(file)
  }

  /** The regular files that the patterns stand for now: id by path, and what was seen of them. */
  async #namesNow(): Promise<{ paths: Map<string, string>; seen: Map<string, Seen> }> {
    const found = new Map<string, string>()
    const seen = new Map<string, Seen>()
    const paths = [...(await expand(this.#options.patterns))]
    for (let i = 0; i < paths.length; i += STATS_AT_ONCE)
      await Promise.all(
        paths.slice(i, i + STATS_AT_ONCE).map(async (path) => {
          const entry = await this.#look(path)
          if (entry === null) return
          const id = idOf(entry)
          found.set(path, id)
          seen.set(id, entry)
          const file = this.#files.get(id)
          if (file !== undefined) file.path = path
        }),
      )
    return { paths: found, seen }
  }

  async #look(path: string): Promise<BigIntStats | null> {
    try {
      const entry = await stat(path, { bigint: true })
      if (entry.isFile()) return entry
      this.#sayOnce(
        `${path} is left out: expected a regular file, got ${entry.isDirectory() ? 'a directory' : 'another kind'}`,
      )
    } catch (error) {
      this.#trouble(path, error)
    }
    return null
  }

  async #read(file: FollowedFile, seen: Seen | null): Promise<boolean> {
    try {
      const { sink, say } = this.#options
      const came = await file.read(
        {
          take: (...given) => sink.take(...given),
          ready: () => sink.ready(file),
          cut: () => sink.cut(file),
          moved: (of, former) => {
            const where = of.mark.offset === 0 ? 'from its beginning' : 'behind the rows that have been read'
            say(`${file.path} was cut or written anew: it is read ${where}`)
            // What it held may come again in a copy; a table is all there still.
            if (of.mark.offset === 0) sink.marks(this.#lost.add(formerKey(file.id, former), former))
            sink.moved(of, former)
          },
        },
        seen,
      )
      if (came) this.#quietSince.delete(file)
      return came
    } catch (error) {
      this.#trouble(file.path, error)
      return false
    }
  }

  /** Takes in files that were not followed yet. */
  async #admit(paths: readonly string[]): Promise<void> {
    const held = this.#copies
    this.#copies = new Map()
    for (const path of paths) {
      if (this.#files.size >= MAX_FILES) {
        this.#sayOnce(`more than ${MAX_FILES} files are there to be followed: ${path} and others are not read`)
        return
      }
      try {
        const file = await openRegular(path)
        if (file === null || this.#files.has(file.id)) await file?.handle.close()
        else await this.#beginOrClose(path, file, held.get(path))
      } catch (error) {
        this.#trouble(path, error)
      }
    }
  }

  /** A file that cannot be read is not held open: it is opened again at the next look. */
  async #beginOrClose(path: string, file: OpenFile, held: HeldCopy | undefined): Promise<void> {
    try {
      await this.#begin(path, file, held)
    } catch (error) {
      if (!this.#files.has(file.id)) await file.handle.close()
      throw error
    }
  }

  async #begin(path: string, file: OpenFile, held: HeldCopy | undefined): Promise<void> {
    const { offset: known, table, changed } = await this.#lost.find(file, path, this.#options.sink)
    const original = known === null && !this.#isFirst ? await this.#originalOf(file) : null
    if (original !== null) {
      this.#copies.set(path, { original, size: file.size, cuts: original.cuts })
      await file.handle.close()
      return
    }
    const followed = await FollowedFile.from(path, file, known ?? (await this.#beginningOf(file, held)))
    followed.table = table
    this.#files.set(file.id, followed)
    if (!this.#isFirst) this.#options.sink.marks([...changed, [file.id, JSON.stringify(followed.mark)]])
    await this.#options.sink.began(followed)
  }

  /** Where the reading of a file begins that nothing is known of. */
  async #beginningOf(file: OpenFile, held: HeldCopy | undefined): Promise<number> {
    const { fromStart, before } = this.#options
    if (this.#isFirst) {
      const size = before === undefined ? file.size : (before.get(file.id) ?? 0)
      return fromStart ? 0 : lastLineOf({ ...file, size: Math.min(size, file.size) })
    }
    // Its original was cut when all of the copy, and more, had been read of it.
    const isRead = held !== undefined && held.size === file.size && held.original.cuts > held.cuts
    return isRead ? file.size : 0
  }

  /** The file that another one is a copy of as far as it goes: it becomes known which is which when they differ, or one is cut. */
  async #originalOf({ handle, size }: OpenFile): Promise<FollowedFile | null> {
    if (size === 0) return null
    const length = Math.min(TAIL_BYTES, size)
    const first = await readAt(handle, 0, length)
    const last = await readAt(handle, size - length, length)
    for (const file of this.files) {
      if (!(await file.head()).subarray(0, length).equals(first)) continue
      if ((await readAt(file.handle, size - length, length)).equals(last)) return file
    }
    return null
  }

  /** A file without a name is closed when nothing has come of it for long. */
  async #letGoOf(file: FollowedFile): Promise<void> {
    const { now } = this.#options
    const since = this.#quietSince.get(file) ?? now()
    this.#quietSince.set(file, since)
    if (now() - since < KEEP_MS) return
    this.#quietSince.delete(file)
    await this.#close(file)
    this.#options.sink.marks(this.#lost.add(file.id, file.mark))
  }

  async #close(file: FollowedFile): Promise<void> {
    this.#files.delete(file.id)
    await this.#options.sink.closed(file)
    await file.close()
  }

  #trouble(path: string, error: unknown): void {
    const { code, syscall, message } = error as NodeJS.ErrnoException
    // Not of the file: a fault of ours.
    if (syscall === undefined) throw error
    if (code !== 'ENOENT') this.#sayOnce(`${path} cannot be read (${message}); it is tried again`)
  }

  #sayOnce(text: string): void {
    if (!this.#said.has(text)) this.#options.say(text)
    this.#said.add(text)
  }
}
