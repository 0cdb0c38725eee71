import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { onTestFinished } from 'vitest'
import type { FromDelivery, Outcome, RunMessage, RunStart } from '../../src/channel/messages.ts'
import { readFlags } from '../../src/config/flags.ts'
import { loadSettings } from '../../src/config/load.ts'
import type { Settings } from '../../src/config/settings.ts'
import { systemClock } from '../../src/delivery/clock.ts'
import { DeliveryThread } from '../../src/delivery/thread.ts'
import type { Exporter, OpenResult, RunToOpen } from '../../src/exporters/exporter.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { MemoryExporter } from './memory-exporter.ts'
import { chunkOf, countsOf, pointsFrom } from './points.ts'
import { temporaryDirectory } from './spanbridge.ts'

export const SETTINGS = loadSettings(readFlags([], false), {}).settings

/** An exporter that nobody answers, until `isThere`. */
export class AwayExporter extends MemoryExporter {
  isThere = false
  override onOpen: MemoryExporter['onOpen'] = () =>
    this.isThere
      ? { kind: 'ok', runId: 'r1', made: true, page: null }
      : { kind: 'retry', error: new Error('nobody answers'), absent: true }
}

/** An exporter that notes of the runs that it is asked to open whether they are to go on, and where. */
export class NotingExporter extends MemoryExporter {
  readonly reopened: boolean[] = []
  readonly targets: RunToOpen['target'][] = []
  override openRun(run: RunToOpen, abort: AbortSignal): Promise<OpenResult> {
    this.reopened.push(run.reopen)
    this.targets.push(run.target)
    return super.openRun(run, abort)
  }
}

/** A destination that takes a batch of 50 points each `ms`, and fails in between. */
export class SlowExporter extends MemoryExporter {
  constructor(ms: number) {
    super()
    this.accepts = { points: 50, params: 100, tags: 100 }
    let next = performance.now() + ms
    this.onSend = ({ kind }) => {
      if (kind !== 'points') return { kind: 'ok' }
      if (performance.now() < next) return { kind: 'retry', error: new Error('slow'), absent: true }
      next = performance.now() + ms
      return { kind: 'ok' }
    }
  }
}

interface ThreadOptions {
  stateDir?: string
  settings?: Partial<Settings>
  /** Those of one run. */
  exporters?: (trackerRun: string | null) => Exporter[]
}

/** A delivery thread in this process, and what it has posted. */
export function startThread({ stateDir = temporaryDirectory(), settings, exporters = () => [] }: ThreadOptions = {}) {
  const posts: FromDelivery[] = []
  const transfers: (readonly ArrayBuffer[] | undefined)[] = []
  const vias: string[] = []
  const thread = new DeliveryThread({
    settings: { ...SETTINGS, ...settings },
    stateDir,
    command: 'spanbridge',
    createExporters: exporters,
    onVia: (via) => vias.push(via),
    post: (message, transfer) => {
      posts.push(message)
      transfers.push(transfer)
    },
    clock: systemClock,
  })
  const outcome = (): Outcome | null => posts.find((message) => message.kind === 'finished')?.outcome ?? null
  onTestFinished(async () => {
    thread.take({ kind: 'stop' })
    for (let i = 0; i < 1000 && outcome() === null; i += 1) await new Promise((resolve) => setImmediate(resolve))
  })
  const begin = (run: number, start: RunStart, resume: string | null = null): void =>
    thread.take({ kind: 'run', run, start, resume })
  const tell = (run: number, message: RunMessage): void => thread.take({ ...message, run })
  return {
    thread,
    posts,
    transfers,
    vias,
    stateDir,
    begin,
    tell,
    /** Points of one series come of a run. */
    add: (run: number, first: number, count: number): void => {
      tell(run, { kind: 'series', id: 0, key: 'loss' })
      const buffer = chunkOf(pointsFrom(first, count))
      tell(run, { kind: 'points', buffer, count, counts: countsOf(count) })
    },
    end: (run: number): void => tell(run, { kind: 'end', status: 'FINISHED', time: 9 }),
    finish: (limitMs: number | null = null): void => thread.take({ kind: 'finish', limitMs }),
    said: (): string[] => posts.filter((message) => message.kind === 'say').map(({ text }) => text),
    kinds: (): string[] => posts.map(({ kind }) => kind),
    outcome,
  }
}

/** What is told of a run that begins. */
export const opened = (run: number, ulid: string): FromDelivery => ({
  kind: 'opened',
  run,
  ulid,
  spans: [],
  waiting: [],
  marks: [],
})

/** What an earlier process has left: a run with points, one span and one that waits; ended where `end` says so. */
export function leaveBehind(stateDir: string, start: RunStart, points: number, end: number | null = null): string {
  const path = join(stateDir, `${start.run}.sqlite`)
  const journal = RunJournal.create(path, start)
  journal.addSeries(0, 'loss')
  journal.addPoints(chunkOf(pointsFrom(1, points)), points, countsOf(points))
  journal.addHead(0, new Uint8Array(), new Uint8Array())
  journal.addSpans({ bytes: new Uint8Array([0x2a, 1, 0x61]), ends: Uint32Array.of(3), heads: Uint32Array.of(0) })
  journal.addWaiting([{ id: 4, since: 5, numbers: 1, span: 'ab', part: -1, body: null }])
  if (end !== null) journal.setEnd('FINISHED', end)
  journal.commit(end)
  journal.close()
  return path
}

export const stepsOf = ({ taken }: MemoryExporter): number[] => taken.map((each) => Number(each.split('@')[1]))

/** One span of run 0. */
export function addSpan(tell: (run: number, message: RunMessage) => void): void {
  tell(0, { kind: 'head', id: 0, resource: new Uint8Array(), scope: new Uint8Array() })
  const spans = { bytes: new Uint8Array([0x2a, 1, 0x61]), ends: Uint32Array.of(3), heads: Uint32Array.of(0) }
  tell(0, { kind: 'spans', spans })
}

/** From here on no destination gets a cursor in this journal, for lack of room, until the result is called. */
export function fillCursors(path: string): () => void {
  const shell = new DatabaseSync(path)
  shell.exec(`CREATE TRIGGER full BEFORE INSERT ON cursors BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END`)
  return () => {
    shell.exec('DROP TRIGGER full')
    shell.close()
  }
}
