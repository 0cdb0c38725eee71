import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  realpathSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Mark } from '../../src/channel/messages.ts'
import { Follower } from '../../src/receivers/file/follower.ts'
import { absolute, identityOf, problemOf } from '../../src/receivers/file/patterns.ts'
import { openFiles } from '../support/open-files.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

const UNREADABLE = '/sys/class/net/lo/speed'

const line = (step: number): string => `{"step":${step},"loss":${step / 8}}\n`
const lines = (from: number, to: number): string => Array.from({ length: to - from }, (_, i) => line(from + i)).join('')
const stepsOf = (text: string): number[] => Array.from(text.matchAll(/"step": ?(\d+)/g), ([, step]) => Number(step))
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i)

/** Files being followed without a daemon: what was read, and what a later process would be told. */
class Following {
  readonly directory: string
  readonly said: string[] = []
  text = ''
  /** What is torn at the end of each file is not kept by a process that dies. */
  readonly #whole = new Map<string, string>()
  readonly #kept = new Map<string, string>()
  #now = 0
  #follower: Follower
  readonly #patterns: string[]
  readonly #fromStart: boolean

  constructor(patterns: string[], { fromStart = false, directory = temporaryDirectory() } = {}) {
    this.directory = directory
    this.#patterns = absolute(patterns, directory)
    this.#fromStart = fromStart
    this.#follower = this.#start()
    onTestFinished(() => this.#follower.close())
  }

  at(name: string): string {
    return join(this.directory, name)
  }

  #keep(marks: readonly Mark[]): void {
    for (const [key, value] of marks) {
      if (value === null) this.#kept.delete(key)
      else this.#kept.set(key, value)
    }
  }

  #start(): Follower {
    const sink = {
      take: (file: { id: string; mark: object }, bytes: Buffer, isLine: boolean) => {
        const text = (this.#whole.get(file.id) ?? '') + bytes.toString()
        const end = text.lastIndexOf('\n') + 1
        this.text += text.slice(0, end)
        this.#whole.set(file.id, text.slice(end))
        if (isLine) this.#keep([[file.id, JSON.stringify(file.mark)]])
      },
      cut: () => Promise.resolve(0),
      endOfRows: () => Promise.resolve(null),
      moved: (file: { id: string; mark: object }) => {
        this.#whole.delete(file.id)
        this.#keep([[file.id, JSON.stringify(file.mark)]])
      },
      ready: () => Promise.resolve(true),
      marks: (marks: readonly Mark[]) => this.#keep(marks),
      began: () => Promise.resolve(),
      closed: () => Promise.resolve(),
    }
    const patterns = this.#patterns
    const say = (text: string): void => void this.said.push(text)
    return new Follower({ patterns, fromStart: this.#fromStart, sink, now: () => this.#now, say }, [...this.#kept])
  }

  /** Looks, and tells the steps that are new. */
  async steps(): Promise<number[]> {
    this.text = ''
    await this.#follower.poll()
    return stepsOf(this.text)
  }

  /** The process dies, and another one goes on. */
  async restart(): Promise<void> {
    await this.#follower.close()
    this.#whole.clear()
    this.#follower = this.#start()
  }

  pass(ms: number): void {
    this.#now += ms
  }

  get count(): number {
    return this.#follower.files.length
  }

  get copies(): string[] {
    return this.#follower.copies.map(([copy]) => copy)
  }
}

describe('a file that is followed', () => {
  it('is read from its end if it was there, and from its beginning if it came later', async () => {
    const following = new Following(['*.jsonl'])
    writeFileSync(following.at('old.jsonl'), lines(0, 5))
    expect(await following.steps()).toEqual([])
    appendFileSync(following.at('old.jsonl'), lines(5, 7))
    writeFileSync(following.at('new.jsonl'), lines(100, 102))
    expect((await following.steps()).sort((a, b) => a - b)).toEqual([5, 6, 100, 101])
    expect(await following.steps()).toEqual([])
  })

  it('is read from its beginning with fromStart, whatever its size', async () => {
    const following = new Following(['a.jsonl'], { fromStart: true })
    writeFileSync(following.at('a.jsonl'), lines(0, 20_000))
    expect(await following.steps()).toEqual(range(0, 20_000))
  })

  it('gives a line that was half written when the following began whole', async () => {
    const following = new Following(['a.jsonl'])
    writeFileSync(following.at('a.jsonl'), lines(0, 2) + line(2).slice(0, 8))
    expect(await following.steps()).toEqual([])
    appendFileSync(following.at('a.jsonl'), line(2).slice(8))
    expect(await following.steps()).toEqual([2])
  })

  it.each([1, 5, 13])(
    'gives a line that is written in pieces of %i bytes once, also when the process dies between',
    async (size) => {
      const following = new Following(['a.jsonl'])
      expect(await following.steps()).toEqual([])
      const text = lines(0, 4)
      const found: number[] = []
      for (let at = 0; at < text.length; at += size) {
        appendFileSync(following.at('a.jsonl'), text.slice(at, at + size))
        found.push(...(await following.steps()))
        if (at % 3 === 0) await following.restart()
      }
      expect([...found, ...(await following.steps())]).toEqual([0, 1, 2, 3])
    },
  )

  // A file of Linux that says to have 4 KB, and gives none of them.
  it.runIf(existsSync(UNREADABLE))('that cannot be read is not held open, and said once', async () => {
    const following = new Following([UNREADABLE])
    for (let i = 0; i < 3; i += 1) expect(await following.steps()).toEqual([])
    expect(openFiles(realpathSync(UNREADABLE))).toEqual([])
    expect(following.said).toEqual([expect.stringMatching(/speed cannot be read \(EINVAL.*; it is tried again/)])
  })

  it('may not be there yet', async () => {
    const following = new Following(['later/a.jsonl'])
    expect(await following.steps()).toEqual([])
    mkdirSync(following.at('later'))
    writeFileSync(following.at('later/a.jsonl'), line(1))
    expect(await following.steps()).toEqual([1])
  })

  it('that came while no process followed is read from its beginning', async () => {
    const following = new Following(['*.jsonl'])
    await following.steps()
    await following.restart()
    writeFileSync(following.at('a.jsonl'), lines(0, 3))
    expect(await following.steps()).toEqual([0, 1, 2])
  })
})

describe('rotation', () => {
  it.each(['a.jsonl', 'a.jsonl*'])(
    'by renaming: the rest of the old file is read, then the new one (%s)',
    async (pattern) => {
      const following = new Following([pattern])
      writeFileSync(following.at('a.jsonl'), lines(0, 3))
      await following.steps()
      appendFileSync(following.at('a.jsonl'), lines(3, 5))
      renameSync(following.at('a.jsonl'), following.at('a.jsonl.1'))
      writeFileSync(following.at('a.jsonl'), lines(6, 8))
      expect(await following.steps()).toEqual([3, 4, 6, 7])
      // The writer had not let go of the old one yet.
      appendFileSync(following.at('a.jsonl.1'), line(5))
      expect(await following.steps()).toEqual([5])
      expect(await following.steps()).toEqual([])
    },
  )

  it('lets go of a file without a name when nothing has come of it for a minute', async () => {
    const following = new Following(['a.jsonl'])
    writeFileSync(following.at('a.jsonl'), line(0))
    await following.steps()
    rmSync(following.at('a.jsonl'))
    await following.steps()
    expect(following.count).toBe(1)
    following.pass(60_000)
    await following.steps()
    expect(following.count).toBe(0)
  })

  it.each(['a.jsonl', 'a.jsonl*'])('by copying and cutting: every line once (%s)', async (pattern) => {
    const following = new Following([pattern])
    writeFileSync(following.at('a.jsonl'), lines(0, 300))
    await following.steps()
    appendFileSync(following.at('a.jsonl'), lines(300, 302))
    expect(await following.steps()).toEqual([300, 301])
    copyFileSync(following.at('a.jsonl'), following.at('a.jsonl.1'))
    truncateSync(following.at('a.jsonl'))
    appendFileSync(following.at('a.jsonl'), lines(302, 304))
    expect(await following.steps()).toEqual([302, 303])
    await following.restart()
    expect(await following.steps()).toEqual([])
    expect(following.said.filter((text) => text.includes('was cut'))).toHaveLength(1)
  })

  it('by copying and cutting: what was not read yet is read of the copy', async () => {
    const following = new Following(['a.jsonl*'])
    writeFileSync(following.at('a.jsonl'), lines(0, 3))
    await following.steps()
    appendFileSync(following.at('a.jsonl'), lines(3, 5))
    copyFileSync(following.at('a.jsonl'), following.at('a.jsonl.1'))
    truncateSync(following.at('a.jsonl'))
    appendFileSync(following.at('a.jsonl'), lines(5, 9))
    expect((await following.steps()).sort((a, b) => a - b)).toEqual(range(3, 9))
  })

  it.each(['while it is followed', 'while nobody follows'])(
    'by a copy that is there before the cut, %s',
    async (when) => {
      const following = new Following(['a.jsonl*'])
      writeFileSync(following.at('a.jsonl'), lines(0, 3))
      await following.steps()
      copyFileSync(following.at('a.jsonl'), following.at('a.jsonl.1'))
      appendFileSync(following.at('a.jsonl'), line(3))
      expect(await following.steps()).toEqual([3])
      expect(following.copies).toEqual([following.at('a.jsonl.1')])
      if (when === 'while nobody follows') {
        // The copy has all, as cp leaves it.
        copyFileSync(following.at('a.jsonl'), following.at('a.jsonl.1'))
        await following.restart()
      }
      truncateSync(following.at('a.jsonl'))
      appendFileSync(following.at('a.jsonl'), line(4))
      expect(await following.steps()).toEqual([4])
      await following.restart()
      expect(await following.steps()).toEqual([])
    },
  )

  it('a file that was cut and has grown beyond what it was is read anew', async () => {
    const following = new Following(['a.jsonl'])
    writeFileSync(following.at('a.jsonl'), lines(0, 3))
    await following.steps()
    writeFileSync(following.at('a.jsonl'), lines(10, 20))
    expect(await following.steps()).toEqual(range(10, 20))
  })

  it('a file that was cut and has grown beyond what it was while nobody followed is read anew', async () => {
    const following = new Following(['a.jsonl'])
    writeFileSync(following.at('a.jsonl'), lines(0, 3))
    await following.steps()
    await following.restart()
    writeFileSync(following.at('a.jsonl'), lines(10, 20))
    expect(await following.steps()).toEqual(range(10, 20))
  })

  it('a writer that goes on where it was before the cut leaves zeros, which are no line', async () => {
    const following = new Following(['a.jsonl'])
    writeFileSync(following.at('a.jsonl'), lines(0, 3))
    await following.steps()
    writeFileSync(following.at('a.jsonl'), Buffer.concat([Buffer.alloc(5000), Buffer.from(line(7))]))
    await following.steps()
    expect(following.text).toBe(line(7))
  })

  it('a file that another one was put in the place of, as editors and sed -i do, is read from its beginning', async () => {
    const following = new Following(['a.jsonl'])
    writeFileSync(following.at('a.jsonl'), lines(0, 3))
    await following.steps()
    writeFileSync(following.at('tmp'), lines(20, 23))
    renameSync(following.at('tmp'), following.at('a.jsonl'))
    expect(await following.steps()).toEqual([20, 21, 22])
  })

  it('a file that was written anew with all that it held goes on behind that', async () => {
    const following = new Following(['a.jsonl'])
    writeFileSync(following.at('a.jsonl'), lines(0, 300))
    await following.steps()
    writeFileSync(following.at('tmp'), lines(0, 302))
    renameSync(following.at('tmp'), following.at('a.jsonl'))
    await following.steps()
    rmSync(following.at('a.jsonl'))
    await following.restart()
    writeFileSync(following.at('a.jsonl'), lines(0, 303))
    expect(await following.steps()).toEqual([300, 301, 302])
  })

  it("that Python's RotatingFileHandler does gives every line once", async () => {
    const following = new Following(['train.log*'])
    await following.steps()
    const script = `
import json, logging, logging.handlers, sys
handler = logging.handlers.RotatingFileHandler(sys.argv[1], maxBytes=4000, backupCount=500)
handler.setFormatter(logging.Formatter("%(message)s"))
logging.getLogger().addHandler(handler)
for step in range(5000):
    logging.warning(json.dumps({"step": step, "loss": step / 8}))
`
    const writer = spawn('python3', ['-c', script, following.at('train.log')], { stdio: 'ignore' })
    const isOver = once(writer, 'exit')
    const found: number[] = []
    while (writer.exitCode === null) found.push(...(await following.steps()))
    await isOver
    found.push(...(await following.steps()))
    expect(found.sort((a, b) => a - b)).toEqual(range(0, 5000))
  })
})

describe('what is followed', () => {
  it('is files only: what a glob finds beside them is left out, with a word', async () => {
    const following = new Following(['*'])
    mkdirSync(following.at('directory'))
    await once(spawn('mkfifo', [following.at('fifo')]), 'exit')
    await following.steps()
    writeFileSync(following.at('a'), line(1))
    expect(await following.steps()).toEqual([1])
    expect(following.said.sort()).toEqual([
      `${following.at('directory')} is left out: expected a regular file, got a directory`,
      `${following.at('fifo')} is left out: expected a regular file, got another kind`,
    ])
  })

  it('is refused where a directory or a device is named', () => {
    const directory = temporaryDirectory()
    expect(problemOf(directory)).toContain(`which is a directory; for the files in it write '${directory}/*.jsonl'`)
    expect(problemOf('/dev/null')).toContain('which is no regular file')
    expect(problemOf(join(directory, 'later.jsonl'))).toBeNull()
  })

  it('is the same run in whatever order and from wherever it is named', () => {
    const one = absolute(['b.jsonl', 'logs/*.jsonl'], '/home/me')
    expect(one).toEqual(['/home/me/b.jsonl', '/home/me/logs/*.jsonl'])
    expect(identityOf(one)).toBe(
      identityOf(absolute(['/home/me/logs/*.jsonl', '../me/b.jsonl', 'b.jsonl'], '/home/me')),
    )
    expect(identityOf(one)).not.toBe(identityOf(absolute(['b.jsonl'], '/home/me')))
  })

  it('may be a file with the characters of a glob in its name', async () => {
    const following = new Following(['run[1].jsonl'])
    writeFileSync(following.at('run[1].jsonl'), '')
    await following.steps()
    appendFileSync(following.at('run[1].jsonl'), line(1))
    writeFileSync(following.at('run1.jsonl'), line(2))
    expect(await following.steps()).toEqual([1])
  })
})
