import type { EndStatus } from '../channel/messages.ts'
import type { Batch, BatchKind, Exporter, Failure, PeerRun, RunToOpen, SendResult } from '../exporters/exporter.ts'
import type { RunJournal } from '../journal/journal.ts'
import { accountOf, type Cursor, type DestinationAccount } from './account.ts'
import { attempt, attempts, pause } from './attempts.ts'
import { emptyBatch, halves, lastOf, slice, untilNaN } from './batches.ts'
import type { Clock } from './clock.ts'
import { Progress, type Refusal, type UnderWay } from './progress.ts'
import { Sender, type Doubt } from './sender.ts'
import { Trouble } from './trouble.ts'
import { notedOf, Upcoming } from './upcoming.ts'

/** A flush is due when this many points wait, ... */
const FLUSH_POINTS = 50
/** ... or this long after the first of them came. */
const FLUSH_MS = 1000
/** How far delivery has got is written with the next commit, or this long after there was nothing more to do. */
const LATE_MS = 200
/** A destination where nobody listens is tried again after this long, always; ... */
const ABSENT_PAUSE_MS = 1000
/** ... where somebody answers badly or hangs, the pauses grow from that to this. */
const LONGEST_PAUSE_MS = 10_000
/** ... or as long as the server asks, up to this. */
const LONGEST_RETRY_AFTER_MS = 60_000
/** Making a run is not repeated lightly (it would be a second one), so that it may take this long. */
const OPEN_TIMEOUT_MS = 30_000
const CLOSE_TIMEOUT_MS = 3000
const CLOSE_TRIES = 3
/** An open request is spoken of after this long without an answer. */
const SLOW_OPEN_MS = 3000
/** Points of one piece of a batch that may be stored already: 0.3 s on a run of 300,000 rows. */
const PIECE_POINTS = 50

export interface DeliveryOptions {
  journal: RunJournal
  exporter: Exporter
  run: Omit<RunToOpen, 'knownId' | 'knownMade' | 'mayExist' | 'isMoved' | 'making' | 'makingSince' | 'target' | 'peer'>
  /** An orphan goes where its journal says; else what is set now counts before that. */
  isOrphan: boolean
  clock: Clock
  say: (text: string) => void
  /** Hears that the cursor of the points has moved. */
  onSettled: () => void
  /** Hears that the tracker's run is known. */
  onOpened: () => void
  /** The delivery of the same run by another exporter, if there is one. */
  peerOf: (exporter: string) => Delivery | undefined
}

/** What a step came to: done, to be tried in another way, or what went wrong. */
type StepResult = Failure | null | 'again'

/**
 * Brings one run to one destination: batches, attempts, suspension, refusals and counts, the same for every exporter.
 * One request is in flight at a time, so that order holds and a crash leaves at most one batch in doubt.
 *
 *     open run ─► params ─► tags ─► points, 50 or 1 s ─► ... ─► end of run
 *         │ fails      │ refused: empty batch, then halves until the rows stand alone ─► rejected rows
 *         │            │ unanswered: ask ─► stored, or send again, or in pieces of 50
 *         └────────────┴ three attempts failed: suspended and tried again; the cursor stays
 */
export class Delivery {
  readonly exporter: Exporter
  readonly #journal: RunJournal
  #progress: Progress
  readonly #options: DeliveryOptions
  readonly #clock: Clock
  readonly #sender: Sender
  readonly #upcoming: Upcoming
  readonly #trouble: Trouble
  readonly #cut = new AbortController()
  /** Ends a pause when the end has come. */
  readonly #hurry = new AbortController()
  #runId: string | null = null
  #group: string | null = null
  #made = false
  #ended = false
  #end: { status: EndStatus; time: number } | null = null
  #draining = false
  #waitingSince: number | null = null
  #isSuspended = false
  /** How far it has got is to be written, though nothing else is. */
  #isLateDue = false
  /** The last batch took all that was waiting when it was cut. */
  #tookAll = false
  #pauseMs = ABSENT_PAUSE_MS
  #wake: () => void = () => {}
  #progressAt: number
  readonly #leaveCommits: () => void
  readonly #loop: Promise<void>

  constructor(options: DeliveryOptions) {
    this.#options = options
    this.#journal = options.journal
    this.#clock = options.clock
    this.exporter = options.exporter
    this.#progress = this.#progressOf(accountOf(options.journal, options.exporter))
    const { name } = options.exporter
    this.#trouble = new Trouble({
      ...options,
      name,
      item: this.#progress.main === 'points' ? 'point' : 'span',
      state: (state, lastError) => this.#progress.account.state(state, lastError),
      cut: this.#cut.signal,
      counts: () => this.#progress,
    })
    this.#sender = new Sender({
      exporter: options.exporter,
      clock: options.clock,
      cut: this.#cut.signal,
      onFailed: (failure) => this.#trouble.tell(failure.error!),
      // What a memory sent of a batch that was refused as a whole, in pieces, has died with it.
      isWhole: !options.journal.lacksMemory,
      heightOf: (key) => this.#progress.account.heightOf(key),
      onResent: (count) => (this.#progress.cursors.get('spans')!.resent += count),
    })
    this.#upcoming = new Upcoming({ ...options, sender: this.#sender })
    const cursor = this.#progress.cursors.get(this.#progress.main)
    if (this.#progress.isBegun) this.#sender.doubtUpTo(this.#doubt, cursor!.sending)
    this.#progressAt = this.#clock.now()
    this.#leaveCommits = options.journal.joinCommits(() =>
      this.#runId === null ? undefined : this.#progress.noteWithCommit(),
    )
    this.#loop = this.#run()
  }

  /** Takes up what is known of a destination. */
  #progressOf(account: DestinationAccount): Progress {
    this.#made = account.known.made
    this.#ended = account.known.ended && !this.#options.run.reopen
    const { journal, exporter, say, run } = this.#options
    return new Progress({
      journal,
      exporter,
      account,
      run: run.name,
      say,
      onMoved: (kind) => this.#onMoved(kind),
      onPassed: (position) => this.#sender.passed(position),
      doubtEnd: () => (this.#sender.doubt === 'none' ? 0 : this.#sender.doubtEnd),
      nextOf: (waiting) => this.#nextOf(waiting),
    })
  }

  /** How a batch is treated of which it is not known whether it is stored. */
  get #doubt(): Doubt {
    if (this.#progress.main === 'spans') return 'resend'
    return this.exporter.confirm === undefined ? 'pieces' : 'ask'
  }

  /** The tracker's run once it is known. */
  get peer(): PeerRun | null {
    return this.#runId === null ? null : { runId: this.#runId, group: this.#group }
  }

  /** Monotonic time of the last step forward. */
  get progressAt(): number {
    return this.#progressAt
  }

  /** Everything that is in the journal has been delivered or refused, and the end is set if there is one. */
  get isComplete(): boolean {
    return this.#runId !== null && this.#progress.isDrained && (this.#end === null || this.#ended)
  }

  /** Something was dropped by the journal's limit before it was delivered. */
  get hasLost(): boolean {
    return this.#progress.hasLost
  }

  /** Sequence number up to which the points are served, or null when they are not wanted. */
  get position(): number | null {
    return this.#progress.cursors.get('points')?.position ?? null
  }

  /** Tells that the journal has more. */
  wake(): void {
    if (this.#waitingSince === null && this.#progress.waiting > 0) this.#waitingSince = this.#clock.now()
    this.#wake()
  }

  /** Nothing more will come: flushes are due at once, and the end (null: none) is delivered last. */
  drain(end: { status: EndStatus; time: number } | null): void {
    this.#end = end
    this.#draining = true
    this.#pauseMs = ABSENT_PAUSE_MS
    this.#hurry.abort()
    this.#progressAt = this.#clock.now()
    this.wake()
  }

  /** Ends attempts and pauses at once; what is not delivered stays pending. Resolves when nothing is under way. */
  async stop(): Promise<void> {
    this.#cut.abort()
    this.#leaveCommits()
    this.#wake()
    await this.#loop
    this.#progress.rest()
    await this.exporter.close()
  }

  async #run(): Promise<void> {
    while (!this.#cut.signal.aborted) {
      try {
        const failure = await this.#step()
        if (failure === 'idle') await this.#idle()
        else if (failure === null) this.#moved()
        else if (failure === 'again') continue
        else await this.#suspend(failure)
      } catch (error) {
        // The journal could not be read or written; what was sent meanwhile, for which it was noted, is asked for.
        if (this.#progress.isBegun && this.#sender.doubt === 'none' && this.#doubt !== 'pieces')
          this.#sender.doubtUpTo(this.#doubt, this.#upcoming.endOfBegun(this.#progress))
        await this.#suspend({
          kind: 'retry',
          error: new Error(`the journal ${this.#journal.path} fails (${(error as Error).message})`),
        })
      }
    }
  }

  /** Does the next thing there is to do. `null`: done; `'idle'`: there was nothing; `'again'`: in another way; else what went wrong. */
  async #step(): Promise<StepResult | 'idle'> {
    const progress = this.#progress
    progress.passEvicted()
    if (this.#runId === null) return this.#isTooEarly ? 'idle' : this.#open()
    for (const [kind, cursor] of progress.cursors) {
      if (kind === progress.main && !this.#isDue()) continue
      const batch = this.#upcoming.next(progress, kind, cursor)
      if (kind === progress.main && batch !== null) this.#tookAll = lastOf(batch) === progress.total
      if (batch !== null) return this.#deliver(this.#runId, batch, cursor)
    }
    if (this.#journal.hasLate && (this.#draining || this.#isLateDue)) {
      this.#journal.writeLate()
      this.#isLateDue = false
      return null
    }
    if (this.#end !== null && !this.#ended && progress.isDrained) return this.#close(this.#runId, this.#end)
    return 'idle'
  }

  /** The run of the exporter that goes before is not known yet. */
  get #isTooEarly(): boolean {
    const { after } = this.exporter
    const peer = after === undefined ? undefined : this.#options.peerOf(after)
    return peer !== undefined && peer.peer === null
  }

  #isDue(): boolean {
    const { waiting } = this.#progress
    if (waiting === 0) return false
    if (this.#draining || waiting >= FLUSH_POINTS || this.#isSuspended) return true
    // A flush takes all that was noted for it.
    if (this.#progress.isBegun) return true
    return this.#waitingSince !== null && this.#clock.now() - this.#waitingSince >= FLUSH_MS
  }

  /** Waits until something may be due. */
  async #idle(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = resolve
    const dueIn = this.#waitingSince === null ? null : Math.max(0, this.#waitingSince + FLUSH_MS - this.#clock.now())
    const cancel = dueIn === null ? null : this.#clock.after(dueIn, resolve)
    const cancelLate = this.#journal.hasLate
      ? this.#clock.after(LATE_MS, () => {
          this.#isLateDue = true
          resolve()
        })
      : null
    if (this.#cut.signal.aborted) resolve()
    await promise
    cancel?.()
    cancelLate?.()
    this.#wake = () => {}
  }

  async #open(): Promise<StepResult> {
    const { account } = this.#progress
    const { target } = this.exporter
    const isSet = Object.values(target).some((value) => value !== null)
    const run: RunToOpen = {
      ...this.#options.run,
      knownId: account.known.runId,
      knownMade: account.known.made,
      mayExist: !this.#journal.isNew,
      isMoved: account.isMoved,
      peer: this.exporter.after === undefined ? null : (this.#options.peerOf(this.exporter.after)?.peer ?? null),
      makingSince: account.makingSince,
      making: (since) => (account.makingSince = since),
      target: isSet && !this.#options.isOrphan ? target : account.known.target,
    }
    const open = (abort: AbortSignal) => this.exporter.openRun(run, abort)
    const slow = new Error(`${this.exporter.name} at ${this.exporter.address} has not answered yet`)
    const cancel = this.#clock.after(SLOW_OPEN_MS, () => this.#trouble.tell(slow))
    const result = await attempt(open, OPEN_TIMEOUT_MS, this.#clock, this.#cut.signal)
    cancel()
    if (result.kind !== 'ok') {
      const elsewhere = result.kind === 'drop' && result.noSuchRun === true ? account.elsewhere() : null
      if (elsewhere === null) return result
      // Nothing is there yet, so nothing is in doubt or refused.
      this.#progress = this.#progressOf(elsewhere)
      this.#sender.doubtUpTo('none', 0)
      return 'again'
    }
    this.#made ||= result.made
    this.#upcoming.splitsNaN = result.splitsNaN ?? false
    account.opened(result.runId, this.#made, result.page, result.heights ?? new Map())
    this.#runId = result.runId
    this.#upcoming.forget()
    this.#group = result.group ?? null
    this.#options.onOpened()
    // What an earlier process, or the slowness of this one, has noted is over.
    this.#tookAll = this.#progress.waiting === 0
    if (!this.#trouble.isThere) account.state('ok', null)
    if (result.page !== null) this.#options.say(`${this.exporter.name}: run ${result.runId} · ${result.page}`)
    return null
  }

  async #close(runId: string, end: { status: EndStatus; time: number }): Promise<Failure | null> {
    const { signal } = this.#cut
    const close = (abort: AbortSignal) => this.exporter.closeRun(runId, { ...end, made: this.#made }, abort)
    const once = () => attempt(close, CLOSE_TIMEOUT_MS, this.#clock, signal)
    const onFailed = (failure: SendResult): void => this.#trouble.tell((failure as Failure).error)
    const tries = this.#isSuspended ? 1 : CLOSE_TRIES
    const result = await attempts(once, { tries, clock: this.#clock, cut: signal, onFailed })
    if (result.kind !== 'ok') return result
    this.#ended = true
    this.#progress.account.ended()
    return null
  }

  /** Sends a batch; of a refused one, the halves, until the refused rows stand alone. */
  async #deliver(runId: string, batch: Batch, cursor: Cursor): Promise<StepResult> {
    const { kept, way } = this.#progress.setAside(batch)
    if (kept.count === 0) {
      this.#progress.settle(kept, cursor, way)
      return null
    }
    if (this.#sender.doubt === 'pieces' && kept.kind === 'points') return this.#deliverPiece(runId, kept, cursor, way)
    this.#progress.begin(kept.kind, cursor, way)
    const sent = this.#sender.send(runId, kept, way.end, this.#isSuspended)
    // undici looks at a connection that has rested, and lets the request go in the next turn of the loop: what is encoded before
    // that keeps it from leaving (0.85x as many points a second into a sink that answers at once).
    const look = (): void => {
      this.#progress.noteMore(way)
      this.#upcoming.lookAhead(runId, this.#progress, way)
    }
    const later = kept.kind === this.#progress.main ? setImmediate(look) : undefined
    const result = await sent
    clearImmediate(later)
    if (result.kind === 'ok') this.#progress.settle(kept, cursor, way, result.refused)
    // Not known and nobody to ask: the next step goes piece by piece.
    if (result.kind === 'ok') return null
    if (result.kind === 'pieces') return 'again'
    return result.kind === 'drop' ? this.#refused(runId, kept, result, cursor, way) : result
  }

  /** A batch in doubt goes again in pieces: what is stored of them already costs the server little. */
  async #deliverPiece(runId: string, batch: Batch, cursor: Cursor, way: UnderWay): Promise<StepResult> {
    const few = batch.count > PIECE_POINTS ? slice(batch, 0, PIECE_POINTS) : batch
    const piece = this.#upcoming.splitsNaN && few.kind === 'points' ? untilNaN(few) : few
    const here: UnderWay = {
      end: piece.count === batch.count ? way.end : lastOf(piece),
      aside: way.aside,
      isPart: true,
    }
    const result = await this.#sender.sendPiece(runId, piece, this.#isSuspended)
    if (result.kind === 'drop') return this.#refused(runId, piece, result, cursor, here)
    if (result.kind !== 'ok') return result
    this.#progress.settle(piece, cursor, here)
    this.#tookAll &&= piece.count === batch.count
    return null
  }

  /** Is it the run that takes nothing, or are there points that it does not take? */
  async #refused(runId: string, batch: Batch, refusal: Refusal, cursor: Cursor, way: UnderWay): Promise<StepResult> {
    const probe = await this.#probe(runId)
    if (probe.kind !== 'ok' && probe.kind !== 'pieces') return probe
    return this.#bisect(runId, batch, refusal, cursor, way)
  }

  /** Does the run take anything? */
  #probe(runId: string): Promise<SendResult | { kind: 'pieces' }> {
    return this.#sender.send(runId, emptyBatch(this.#journal, this.#progress.main), 0, this.#isSuspended)
  }

  async #bisect(runId: string, batch: Batch, refusal: Refusal, cursor: Cursor, way: UnderWay): Promise<StepResult> {
    if (batch.count === 1) {
      return this.#refusedAlone(runId, batch, refusal, cursor, way)
    }
    const [left, right] = halves(batch)
    for (const half of [left, right]) {
      const here: UnderWay = { end: half === right ? way.end : lastOf(half), aside: way.aside, isPart: true }
      this.#progress.begin(half.kind, cursor, here)
      const result = await this.#sender.send(runId, half, here.end, this.#isSuspended)
      if (result.kind === 'ok') {
        this.#progress.settle(half, cursor, here)
        continue
      }
      if (result.kind === 'pieces') return 'again'
      const failure = result.kind === 'drop' ? await this.#bisect(runId, half, result, cursor, here) : result
      if (failure !== null) return failure
      // A half in doubt is on its way in pieces; the rest follows in later steps.
      if (cursor.position < here.end) return 'again'
    }
    return null
  }

  /** The run may have been deleted, and restored, since the batch was refused: so one row is asked for twice. */
  async #refusedAlone(
    runId: string,
    batch: Batch,
    refusal: Refusal,
    cursor: Cursor,
    way: UnderWay,
  ): Promise<StepResult> {
    const probe = await this.#probe(runId)
    if (probe.kind !== 'ok' && probe.kind !== 'pieces') return probe
    const again = await this.#sender.send(runId, batch, way.end, this.#isSuspended)
    if (again.kind === 'pieces') return 'again'
    if (again.kind === 'drop') this.#progress.reject(batch, refusal, cursor, way)
    else if (again.kind === 'ok') this.#progress.settle(batch, cursor, way)
    else return again
    return null
  }

  #onMoved(kind: BatchKind): void {
    const { main, waiting } = this.#progress
    this.#progressAt = this.#clock.now()
    if (kind !== main) return
    this.#waitingSince = waiting > 0 ? this.#clock.now() : null
    this.#options.onSettled()
  }

  /** What is due at once goes with the next batch; where NaN cut batches short, how far that goes is not known yet. */
  #nextOf(waiting: number): number {
    const isDue = waiting >= FLUSH_POINTS || (this.#draining && waiting > 0)
    return isDue && !this.#upcoming.splitsNaN ? notedOf(waiting, this.exporter, this.#progress.main) : 0
  }

  /** Something went well: a destination that was in trouble is back once nothing is waiting any more. */
  #moved(): void {
    this.#progressAt = this.#clock.now()
    this.#pauseMs = ABSENT_PAUSE_MS
    if (!this.#tookAll) return
    this.#isSuspended = false
    this.#trouble.isOver()
  }

  async #suspend(failure: Failure): Promise<void> {
    if (this.#cut.signal.aborted) return
    this.#progress.writeLate()
    this.#isSuspended = true
    this.#trouble.tell(failure.error)
    const isAbsent = failure.kind !== 'drop' && failure.absent === true
    const asked = failure.kind === 'retry' ? Math.min(failure.afterMs ?? 0, LONGEST_RETRY_AFTER_MS) : 0
    const ms = Math.max(asked, isAbsent ? ABSENT_PAUSE_MS : this.#pauseMs)
    // The end is worth a try at once; after it the pauses go on.
    const signals = this.#draining ? [this.#cut.signal] : [this.#cut.signal, this.#hurry.signal]
    // Before it begins: the end, which may come meanwhile, begins with short ones again.
    this.#pauseMs = isAbsent ? ABSENT_PAUSE_MS : Math.min(LONGEST_PAUSE_MS, this.#pauseMs * 2)
    await pause(ms, this.#clock, AbortSignal.any(signals))
  }
}
