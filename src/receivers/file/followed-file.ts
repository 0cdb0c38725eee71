import { constants } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { MAX_LINE_BYTES } from '../lines/split.ts'
import type { TableState } from '../lines/presets.ts'
import { hashOf, readAt, TAIL_BYTES, tailAt, tailOf, type FileMark } from './mark.ts'

/** Read at a time, and committed together. */
const PIECE_BYTES = 1 << 16

const NEWLINE = 10
const NOTHING = Buffer.alloc(0)

/** A regular file that is open for reading. */
export interface OpenFile {
  handle: FileHandle
  /** Device and inode: the same under every name. */
  id: string
  size: number
}

/** Opens a regular file. A FIFO that has come in its place makes nobody wait. @throws what the file system says */
export async function openRegular(path: string): Promise<OpenFile | null> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
  const stat = await handle.stat({ bigint: true })
  if (stat.isFile()) return { handle, id: idOf(stat), size: Number(stat.size) }
  await handle.close()
  return null
}

export const idOf = ({ dev, ino }: { dev: bigint; ino: bigint }): string => `${dev}:${ino}`

/** What is told of a file without opening it. */
export interface Seen {
  size: bigint
  mtimeNs: bigint
}

/** What becomes of the bytes of a file. */
export interface FileSink {
  /** Takes bytes; `isLine`: a line has ended in them, and the mark of the file has moved. */
  take(file: FollowedFile, bytes: Buffer, isLine: boolean): void
  /** The file was cut or written anew. @returns where the reading goes on; null: that will be known later */
  cut(file: FollowedFile): Promise<number | null>
  /** The reading goes on elsewhere: what was unfinished will stay so. */
  moved(file: FollowedFile, former: FileMark): void
  /** Resolves when there is room for a piece more; false: nothing is wanted any more. */
  ready(file: FollowedFile): Promise<boolean>
}

/** A file that is being followed, by its inode: renamed or not, until nothing comes of it any more. */
export class FollowedFile {
  path: string
  readonly id: string
  readonly handle: FileHandle
  /** The path that it was found at is another file's now, or nobody's. */
  isGone = false
  /** How far the table has been read that the file is; null: it is none. */
  table: TableState | null = null
  /** How often it was cut. */
  cuts = 0
  /** Behind the last whole line. */
  #offset: number
  #readTo: number
  /** The last bytes before `#offset` and before `#readTo`. */
  #tail: Buffer
  #before: Buffer
  #head: Buffer = NOTHING
  #changedAt = -1n
  /** The writer may go on where it was before the file was cut: what lies before that reads as zeros. */
  #mayHaveHole = false

  private constructor(path: string, { id, handle }: OpenFile, offset: number, tail: Buffer) {
    this.path = path
    this.id = id
    this.handle = handle
    this.#offset = this.#readTo = offset
    this.#tail = this.#before = tail
  }

  /** Follows a file from `offset` on. */
  static async from(path: string, file: OpenFile, offset: number): Promise<FollowedFile> {
    return new FollowedFile(path, file, offset, await tailAt(file.handle, offset))
  }

  get mark(): FileMark {
    const mark = { path: this.path, offset: this.#offset, tail: hashOf(this.#tail) }
    return this.table === null ? mark : { ...mark, table: this.table }
  }

  /** Bytes behind the last whole line that have been taken. */
  get torn(): number {
    return this.#readTo - this.#offset
  }

  /** The first bytes of the file, as long as that is followed. */
  async head(): Promise<Buffer> {
    if (this.#head.length < TAIL_BYTES) this.#head = await readAt(this.handle, 0, TAIL_BYTES)
    return this.#head
  }

  /** Reads what has come. `seen`: what a look at its path told of the file, if it has one. @returns whether something has */
  async read(sink: FileSink, seen: Seen | null = null): Promise<boolean> {
    const { size, mtimeNs } = seen ?? (await this.handle.stat({ bigint: true }))
    if (Number(size) === this.#readTo && mtimeNs === this.#changedAt) return false
    let came = false
    for (let isMore = true; isMore;) {
      // Read once more what was read last: a file that was cut and has grown again is longer, too.
      const overlap = this.#before.length
      const wanted = Math.min(PIECE_BYTES, Math.max(0, Number(size) - this.#readTo) + overlap)
      const bytes = await readAt(this.handle, this.#readTo - overlap, wanted)
      isMore = bytes.length === PIECE_BYTES
      if (!bytes.subarray(0, overlap).equals(this.#before)) {
        const offset = await sink.cut(this)
        if (offset === null) return came
        const former = this.mark
        await this.#move(offset)
        sink.moved(this, former)
        isMore = true
      } else if (bytes.length > overlap) {
        if (!(await sink.ready(this))) return came
        this.#take(bytes.subarray(overlap), sink)
        came = true
      }
    }
    this.#changedAt = mtimeNs
    return came
  }

  async #move(offset: number): Promise<void> {
    this.#offset = this.#readTo = offset
    this.#tail = this.#before = await tailAt(this.handle, offset)
    this.#head = NOTHING
    this.#mayHaveHole = true
    this.cuts += 1
  }

  #take(bytes: Buffer, sink: FileSink): void {
    const hole = this.#mayHaveHole && this.#offset === 0 ? bytes.findIndex((byte) => byte !== 0) : 0
    this.#mayHaveHole = hole < 0
    const end = bytes.lastIndexOf(NEWLINE) + 1
    if (end > 0) {
      this.#offset = this.#readTo + end
      this.#tail = tailOf(this.#before, bytes.subarray(0, end))
    }
    this.#readTo += bytes.length
    this.#before = tailOf(this.#before, bytes)
    sink.take(this, hole < 0 ? NOTHING : bytes.subarray(hole), end > 0)
  }

  /** What stands behind the last whole line; null: it is too long for a line. */
  async unfinished(): Promise<Buffer | null> {
    return this.torn > MAX_LINE_BYTES ? null : readAt(this.handle, this.#offset, this.torn)
  }

  /** No more is read for now. What was taken behind the last whole line counts as read, or will be read again. */
  rest(isTaken: boolean): void {
    if (isTaken) {
      this.#offset = this.#readTo
      this.#tail = this.#before
    } else {
      this.#readTo = this.#offset
      this.#before = this.#tail
    }
    this.#changedAt = -1n
  }

  async close(): Promise<void> {
    await this.handle.close()
  }
}

/** Where the last line of a file begins that is not whole yet: who begins at the end gets all of it. */
export async function lastLineOf({ handle, size }: OpenFile): Promise<number> {
  const from = Math.max(0, size - MAX_LINE_BYTES)
  const bytes = await readAt(handle, from, size - from)
  const newline = bytes.lastIndexOf(NEWLINE)
  return newline < 0 && from > 0 ? size : from + newline + 1
}
