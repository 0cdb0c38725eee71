import type { Batch, BatchKind, Exporter, Failure, PointBatch } from '../exporters/exporter.ts'
import type { RunJournal } from '../journal/journal.ts'
import { counted } from '../telemetry/words.ts'
import type { Cursor, DestinationAccount, RejectedRow } from './account.ts'
import { itemOf, lastOf, nextBatch, sequenceOf, sift } from './batches.ts'

/** Small things first: they say what the points belong to. */
const KINDS: readonly BatchKind[] = ['params', 'tags', 'points', 'spans']
/** Refusals of one series for its name after which its points are set aside without being sent. */
const REFUSALS_OF_KEY = 2

export type Refusal = Extract<Failure, { kind: 'drop' }>

/** A batch under way with the places that were left out of it. */
export interface UnderWay {
  /** Sequence number up to which the cursor moves when all of it is done. */
  end: number
  /** Rows that are set aside unsent, in order; taken out as the cursor passes them. */
  readonly aside: RejectedRow[]
  /** It is a piece of a batch that goes by itself. */
  readonly isPart?: true
}

export interface ProgressOptions {
  journal: RunJournal
  exporter: Exporter
  account: DestinationAccount
  /** Name of the run, for messages. */
  run: string
  say: (text: string) => void
  onMoved: (kind: BatchKind) => void
  /** All up to `position` is known, of the main kind. */
  onPassed: (position: number) => void
  /** Sequence number up to which something of the main kind may be stored already, not known yet; 0: nothing is. */
  doubtEnd: () => number
  /** Items of the batches that will follow one that is done, of `waiting` ones; 0: that is not known yet. */
  nextOf: (waiting: number) => number
}

/** How far one run has got at one destination: what is delivered, refused, set aside and under way, in memory as in the journal. */
export class Progress {
  readonly account: DestinationAccount
  /** What the destination is there for, and what its flushes wait for. */
  readonly main: 'points' | 'spans'
  readonly cursors = new Map<BatchKind, Cursor>()
  readonly #options: ProgressOptions
  readonly #journal: RunJournal
  readonly #names: string[] = []
  /** Scratch of `#heightsOf`: a list by series (a Map of as many numbers cost a fifth of what a batch costs the thread). */
  readonly #highest: number[] = []
  /** How often points of a series were refused for its name, ... */
  readonly #refusals = new Map<number, number>()
  /** ... and why, of those of which no more are sent. */
  readonly #refusedFor = new Map<number, string>()
  /** Sequence numbers of points behind the cursor whose rows are set aside in the journal already. */
  readonly #ahead: Set<number>

  constructor(options: ProgressOptions) {
    this.#options = options
    this.#journal = options.journal
    this.account = options.account
    this.main = options.exporter.accepts.points === undefined ? 'spans' : 'points'
    for (const kind of KINDS)
      if (options.exporter.accepts[kind] !== undefined) this.cursors.set(kind, options.account.cursor(kind))
    this.#ahead = new Set(options.account.ahead('points'))
  }

  /** What was sent and not answered can be asked for, so that more than one batch may be noted. */
  get #canAsk(): boolean {
    return this.#options.exporter.confirm !== undefined
  }

  /** Batches are noted that are to go: after a crash, some of them may be stored. */
  get isBegun(): boolean {
    const cursor = this.cursors.get(this.main)
    return cursor !== undefined && cursor.sending > cursor.position
  }

  /** Items of the main kind in the journal. */
  get total(): number {
    return this.main === 'points' ? this.#journal.points : this.#journal.spans
  }

  /** Those of them that are neither delivered nor refused. */
  get waiting(): number {
    return this.total - (this.cursors.get(this.main)?.position ?? this.total)
  }

  get delivered(): number {
    return this.cursors.get(this.main)?.delivered ?? 0
  }

  get isDrained(): boolean {
    return [...this.cursors].every(([kind, { position }]) =>
      kind === this.main ? this.waiting === 0 : nextBatch(this.#journal, kind, position, 1) === null,
    )
  }

  /** Something was dropped by the journal's limit before it was delivered. */
  get hasLost(): boolean {
    return [...this.cursors.values()].some(({ evicted }) => evicted > 0)
  }

  /** Takes out of a batch what belongs to series that are refused for their name. */
  setAside(batch: Batch): { kept: Batch; way: UnderWay } {
    const end = lastOf(batch)
    if (batch.kind !== 'points' || this.#refusedFor.size + this.#ahead.size === 0)
      return { kept: batch, way: { end, aside: [] } }
    const isAside = (i: number): boolean =>
      this.#refusedFor.has(batch.series[i]!) || this.#ahead.has(sequenceOf(batch, i))
    const { kept, others } = sift(batch, (i) => !isAside(i))
    const aside = others.map((i) => ({
      sequence: sequenceOf(batch, i),
      ...itemOf(batch, i),
      reason: this.#refusedFor.get(batch.series[i]!) ?? '',
    }))
    return { kept, way: { end, aside } }
  }

  /**
   * Notes, before it leaves, how far what is under way goes and what was left out of it: whoever learns after a crash
   * that it is stored must know that this is not.
   */
  begin(kind: BatchKind, cursor: Cursor, { end, aside, isPart }: UnderWay): void {
    const fresh = aside.filter(({ sequence }) => !this.#ahead.has(sequence))
    const isNoted = this.#canAsk && isPart !== true ? cursor.sending >= end : cursor.sending === end
    if (isNoted && fresh.length === 0) return
    const sending = isNoted ? cursor.sending : isPart === true ? end : Math.max(end, this.#options.doubtEnd())
    this.account.sending(kind, { ...cursor, sending }, fresh)
    cursor.sending = sending
    for (const { sequence } of fresh) this.#ahead.add(sequence)
  }

  /**
   * Notes what is due of that which a commit brings in this very commit, where nothing is noted: it need not wait for another
   * one before it leaves. @returns what is to be done once the commit is on the disk
   */
  noteWithCommit(): (() => void) | undefined {
    const cursor = this.cursors.get(this.main)
    if (cursor === undefined || this.isBegun || this.#options.doubtEnd() > 0) return undefined
    const more = this.#options.nextOf(this.waiting)
    if (more === 0) return undefined
    const sending = cursor.position + more
    try {
      this.account.note(this.main, sending)
    } catch {
      return undefined // a full disk, of which the commit tells
    }
    return () => (cursor.sending = sending)
  }

  /**
   * Notes whole batches behind those that are noted, when the one under way is the last of them: the disk writes while an
   * answer is awaited, and not between two requests.
   */
  noteMore({ end, isPart }: UnderWay): void {
    const cursor = this.cursors.get(this.main)!
    const { exporter, nextOf, doubtEnd } = this.#options
    if (!this.#canAsk || isPart === true || cursor.sending !== end || doubtEnd() > 0) return
    const more = nextOf(this.total - end)
    if (more < exporter.accepts[this.main]!) return
    try {
      this.account.sending(this.main, { ...cursor, sending: end + more }, [])
      cursor.sending = end + more
    } catch {
      // The disk is full: whoever has to write next tells of it.
    }
  }

  /** Nothing more is sent: what has not left, or is known not to be stored, need not be asked for by whoever goes on. */
  rest(): void {
    const cursor = this.cursors.get(this.main)
    if (cursor === undefined) return
    const sending = Math.max(cursor.position, Math.min(cursor.sending, this.#options.doubtEnd()))
    try {
      if (sending < cursor.sending) this.account.sending(this.main, { ...cursor, sending }, [])
    } catch {
      // The disk is full, or the journal damaged, of which has been told: then it is asked for.
    }
    this.writeLate()
  }

  /** Puts on disk how far it has got, without waiting for another commit. */
  writeLate(): void {
    try {
      this.#journal.writeLate()
    } catch {
      // As above.
    }
  }

  /** A batch is there: the cursor moves past it, and the series have got higher. */
  settle(batch: Batch, cursor: Cursor, way: UnderWay, refused?: { rejected: number; message: string }): void {
    const rejected = Math.min(batch.count, refused?.rejected ?? 0)
    const { exporter, say } = this.#options
    if (refused !== undefined && cursor.rejected === 0)
      say(`${exporter.name}: ${rejected} of ${batch.count} are refused, the others are taken: ${refused.message}`)
    const next = {
      ...cursor,
      delivered: cursor.delivered + batch.count - rejected,
      rejected: cursor.rejected + rejected,
    }
    this.#move(batch.kind, next, cursor, way, [], this.#heightsOf(batch))
  }

  /** The one item of a batch is refused for good. */
  reject(batch: Batch, refusal: Refusal, cursor: Cursor, way: UnderWay): void {
    const item = itemOf(batch, 0)
    const row = { sequence: sequenceOf(batch, 0), ...item, reason: refusal.error.message }
    const { exporter, say } = this.#options
    if (cursor.rejected === 0) {
      const what = `${batch.kind.slice(0, -1)} '${item.name}'`
      say(`${exporter.name}: ${what} is refused and set aside, the others go on: ${refusal.error.message}`)
    }
    if (batch.kind === 'points' && refusal.forKey === true) {
      const series = batch.series[0]!
      const refusals = (this.#refusals.get(series) ?? 0) + 1
      this.#refusals.set(series, refusals)
      if (refusals >= REFUSALS_OF_KEY) this.#refusedFor.set(series, refusal.error.message)
    }
    this.#move(batch.kind, cursor, cursor, way, [row], new Map())
  }

  /** What the journal had to drop is a counted loss, where it is not a delivered one. */
  passEvicted(): void {
    const { firstKept } = this.#journal
    for (const kind of ['points', 'spans'] as const) {
      const cursor = this.cursors.get(kind)
      const end = firstKept[kind] - 1
      if (cursor === undefined || cursor.position >= end) continue
      const aside = kind === 'points' ? [...this.#ahead].filter((sequence) => sequence <= end) : []
      const evicted = end - cursor.position - aside.length
      const moved = { ...cursor, position: end, evicted: cursor.evicted + evicted }
      moved.rejected += aside.length
      this.account.moved(kind, moved, [], new Map())
      Object.assign(cursor, moved)
      for (const sequence of aside) this.#ahead.delete(sequence)
      const { exporter, run, say, onPassed } = this.#options
      if (kind === this.main) onPassed(end)
      say(
        `${exporter.name}: ${counted(evicted, kind.slice(0, -1))} of the run ${run} will not be delivered: the journal had to drop ${evicted === 1 ? 'it' : 'them'}, see journal.maxRunBytes and journal.maxBytes`,
      )
    }
  }

  /** The series that a batch makes higher than what is delivered of them, where the destination can be asked for it. */
  #heightsOf(batch: Batch): Map<string, number> {
    const heights = new Map<string, number>()
    if (batch.kind !== 'points' || this.#options.exporter.confirm === undefined) return heights
    // By series first: a batch has many points of few series, and names cost more than numbers.
    const highest = this.#highest
    const those: number[] = []
    for (let i = 0; i < batch.count; i += 1) {
      const series = batch.series[i]!
      const step = batch.step[i]!
      while (highest.length <= series) highest.push(Number.NEGATIVE_INFINITY)
      if (highest[series] === Number.NEGATIVE_INFINITY) those.push(series)
      if (step > highest[series]!) highest[series] = step
    }
    for (const series of those) {
      const name = this.#nameOf(batch, series)
      const step = highest[series]!
      if (step > (heights.get(name) ?? this.account.heightOf(name))) heights.set(name, step)
      highest[series] = Number.NEGATIVE_INFINITY
    }
    return heights
  }

  /** The destination's name of a series. */
  #nameOf(batch: PointBatch, series: number): string {
    return (this.#names[series] ??= this.#options.exporter.keyAt?.(batch.keyOf(series)) ?? batch.keyOf(series))
  }

  /** Moves a cursor to the end of what is done; the rows set aside on the way and the bounds of the next batch go into the same commit. */
  #move(
    kind: BatchKind,
    next: Cursor,
    cursor: Cursor,
    way: UnderWay,
    refused: RejectedRow[],
    heights: ReadonlyMap<string, number>,
  ): void {
    // In place: the halves of a batch share the rows that were left out of it.
    const passed = way.aside.splice(0, way.aside.filter(({ sequence }) => sequence <= way.end).length)
    const fresh = passed.filter(({ sequence }) => !this.#ahead.has(sequence))
    const rejected = [...fresh, ...refused].sort((a, b) => a.sequence - b.sequence)
    const moved = { ...next, position: way.end, rejected: next.rejected + passed.length + refused.length }
    if (kind === this.main && way.end >= cursor.sending) {
      // What is in doubt is asked for as it was sent.
      const doubtEnd = this.#options.doubtEnd()
      const more = doubtEnd > way.end ? doubtEnd - way.end : this.#options.nextOf(this.total - way.end)
      if (more > 0) moved.sending = way.end + more
    }
    // A commit for each thousand points costs as much as sending them where the disk is slow. Without it, and with the next
    // batch encoded meanwhile: 1.16 times as many points a second into a sink that answers at once.
    // After a crash before that, points are asked for, and spans, which have ids, are sent again.
    const isKnownAgain = this.#canAsk || kind === 'spans'
    const isWithin = way.end <= cursor.sending && moved.sending === cursor.sending && way.isPart !== true
    if (isKnownAgain && isWithin && kind === this.main && passed.length + refused.length === 0)
      this.account.movedWithin(kind, moved, heights)
    else this.account.moved(kind, moved, rejected, heights)
    for (const { sequence } of passed) this.#ahead.delete(sequence)
    Object.assign(cursor, moved)
    if (kind === this.main) this.#options.onPassed(way.end)
    this.#options.onMoved(kind)
  }
}
