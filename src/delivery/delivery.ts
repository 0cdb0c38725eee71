import type { EndStatus } from '../channel/messages.ts'
import type { BatchKind, Batch, Exporter, RunToOpen, SendResult } from '../exporters/exporter.ts'
import type { RunJournal } from '../journal/journal.ts'
import { DestinationAccount, type Cursor } from './account.ts'
import { attempt, attempts, pause } from './attempts.ts'
import { emptyBatch, halves, lastOf, nextBatch, onlyItem } from './batches.ts'
import type { Clock } from './clock.ts'

/** A flush is due when this many points wait, ... */
const FLUSH_POINTS = 50
/** ... or this long after the first of them came. */
const FLUSH_MS = 1000
/** A suspended destination is tried again after this long. */
const PROBE_MS = 1000
/** Making a run is not repeated lightly (`runs/create` makes a second one), so that it may take this long. */
const OPEN_TIMEOUT_MS = 30_000
/** While a destination is suspended, no more than one warning in this long. */
const WARNING_MS = 10_000

/** Small things first: they say what the points belong to. */
const KINDS: readonly BatchKind[] = ['params', 'tags', 'points']

export interface DeliveryOptions {
  journal: RunJournal
  exporter: Exporter
  run: Omit<RunToOpen, 'knownId' | 'mayExist'>
  clock: Clock
  say: (text: string) => void
}

/**
 * Brings one run to one destination: batches, attempts, suspension, refusals and counts, the same for every exporter.
 * One request is in flight at a time, so that order holds and a crash leaves at most one batch in doubt.
 *
 *     open run ─► params ─► tags ─► points, 50 or 1 s ─► ... ─► end of run
 *         │ fails      │ refused: empty batch, then halves until the rows stand alone ─► rejected rows
 *         └────────────┴ three attempts failed: suspended, tried again each second; the cursor stays
 */
export class Delivery {
  readonly exporter: Exporter
  readonly #journal: RunJournal
  readonly #account: DestinationAccount
  readonly #options: DeliveryOptions
  readonly #clock: Clock
  readonly #cut = new AbortController()
  readonly #cursors = new Map<BatchKind, Cursor>()
  #runId: string | null = null
  #made: boolean
  #page: string | null = null
  #mayExist: boolean
  #ended: boolean
  #end: { status: EndStatus; time: number } | null = null
  #draining = false
  #waitingSince: number | null = null
  #suspendedSince: number | null = null
  #deliveredBefore = 0
  #warnedAt = Number.NEGATIVE_INFINITY
  #wake: () => void = () => {}
  #progressAt: number
  readonly #loop: Promise<void>

  constructor(options: DeliveryOptions) {
    this.#options = options
    this.#journal = options.journal
    this.#clock = options.clock
    this.exporter = options.exporter
    this.#account = new DestinationAccount(options.journal, options.exporter.name, options.exporter.address)
    const { known } = this.#account
    this.#made = known.made
    this.#mayExist = known.isOld
    this.#ended = known.ended
    for (const kind of KINDS)
      if (this.exporter.accepts[kind] !== undefined) this.#cursors.set(kind, this.#account.cursor(kind))
    this.#progressAt = this.#clock.now()
    this.#loop = this.#run()
  }

  /** Monotonic time of the last step forward. */
  get progressAt(): number {
    return this.#progressAt
  }

  get isSuspended(): boolean {
    return this.#suspendedSince !== null
  }

  /** Everything that is in the journal has been delivered or refused, and the end is set if there is one. */
  get isComplete(): boolean {
    return this.#runId !== null && this.#isDrained && (this.#end === null || this.#ended)
  }

  /** Where a person looks at the run, once it is known. */
  get page(): string | null {
    return this.#page
  }

  cursor(kind: BatchKind): Cursor | undefined {
    return this.#cursors.get(kind)
  }

  /** Tells that the journal has more. */
  wake(): void {
    if (this.#waitingSince === null && this.#waiting > 0) this.#waitingSince = this.#clock.now()
    this.#wake()
  }

  /** Nothing more will come: flushes are due at once, and the end (null: none) is delivered last. */
  drain(end: { status: EndStatus; time: number } | null): void {
    this.#end = end
    this.#draining = true
    this.#progressAt = this.#clock.now()
    this.wake()
  }

  /** Ends attempts and pauses at once; what is not delivered stays pending. Resolves when nothing is under way. */
  async stop(): Promise<void> {
    this.#cut.abort()
    this.#wake()
    await this.#loop
    await this.exporter.close()
  }

  get #waiting(): number {
    return this.#journal.points - (this.#cursors.get('points')?.position ?? this.#journal.points)
  }

  get #isDrained(): boolean {
    return [...this.#cursors].every(([kind, { position }]) => nextBatch(this.#journal, kind, position, 1) === null)
  }

  async #run(): Promise<void> {
    while (!this.#cut.signal.aborted) {
      const failure = await this.#step()
      if (failure === 'idle') await this.#idle()
      else if (failure === null) this.#moved()
      else await this.#suspend(failure)
    }
  }

  /** Does the next thing there is to do. `null`: done; `'idle'`: there was nothing; else what went wrong. */
  async #step(): Promise<Error | null | 'idle'> {
    if (this.#runId === null) return this.#open()
    for (const [kind, cursor] of this.#cursors) {
      if (kind === 'points' && !this.#isDue()) continue
      const batch = nextBatch(this.#journal, kind, cursor.position, this.exporter.accepts[kind]!)
      if (batch !== null) return this.#deliver(batch)
    }
    if (this.#end !== null && !this.#ended && this.#isDrained) return this.#close(this.#runId, this.#end)
    return 'idle'
  }

  #isDue(): boolean {
    if (this.#waiting === 0) return false
    if (this.#draining || this.#waiting >= FLUSH_POINTS || this.isSuspended) return true
    return this.#waitingSince !== null && this.#clock.now() - this.#waitingSince >= FLUSH_MS
  }

  /** Waits until something may be due. */
  async #idle(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = resolve
    const dueIn = this.#waitingSince === null ? null : Math.max(0, this.#waitingSince + FLUSH_MS - this.#clock.now())
    const cancel = dueIn === null ? null : this.#clock.after(dueIn, resolve)
    if (this.#cut.signal.aborted) resolve()
    await promise
    cancel?.()
    this.#wake = () => {}
  }

  async #open(): Promise<Error | null> {
    const run: RunToOpen = { ...this.#options.run, knownId: this.#account.known.runId, mayExist: this.#mayExist }
    this.#mayExist = true
    const result = await attempt(
      (abort) => this.exporter.openRun(run, abort),
      OPEN_TIMEOUT_MS,
      this.#clock,
      this.#cut.signal,
    )
    if (result.kind !== 'ok') return result.error
    this.#runId = result.runId
    this.#made ||= result.made
    this.#page = result.page
    this.#account.opened(result.runId, this.#made, result.page)
    this.#options.say(`${this.exporter.name}: run ${result.runId} · ${result.page}`)
    return null
  }

  async #close(runId: string, end: { status: EndStatus; time: number }): Promise<Error | null> {
    const result = await this.#attempts((abort) => this.exporter.closeRun(runId, { ...end, made: this.#made }, abort))
    if (result.kind !== 'ok') return result.error
    this.#ended = true
    this.#account.ended()
    return null
  }

  /** Sends a batch; of a refused one, the halves, until the refused rows stand alone. */
  async #deliver(batch: Batch): Promise<Error | null> {
    this.#account.sending(batch.kind, lastOf(batch))
    const result = await this.#attempts((abort) => this.exporter.send(this.#runId!, batch, abort))
    if (result.kind === 'ok') {
      this.#advance(batch)
      return null
    }
    if (result.kind !== 'drop') return result.error
    const probe = await this.#attempts((abort) => this.exporter.send(this.#runId!, emptyBatch(this.#journal), abort))
    if (probe.kind !== 'ok') return probe.error
    return this.#bisect(batch, result.error)
  }

  async #bisect(batch: Batch, refusal: Error): Promise<Error | null> {
    if (batch.count === 1) {
      this.#reject(batch, refusal)
      return null
    }
    for (const half of halves(batch)) {
      const result = await this.#attempts((abort) => this.exporter.send(this.#runId!, half, abort))
      if (result.kind === 'ok') {
        this.#advance(half)
        continue
      }
      const failure = result.kind === 'drop' ? await this.#bisect(half, result.error) : result.error
      if (failure !== null) return failure
    }
    return null
  }

  #attempts(send: (abort: AbortSignal) => Promise<SendResult>): Promise<SendResult> {
    return attempts(send, this.#clock, this.#cut.signal)
  }

  #advance(batch: Batch): void {
    const cursor = this.#cursors.get(batch.kind)!
    cursor.position = lastOf(batch)
    cursor.delivered += batch.count
    this.#account.delivered(batch.kind, cursor.position, batch.count)
    this.#passed(batch)
  }

  #reject(batch: Batch, refusal: Error): void {
    const cursor = this.#cursors.get(batch.kind)!
    cursor.position = lastOf(batch)
    cursor.rejected += 1
    const item = onlyItem(batch)
    this.#account.rejected({ kind: batch.kind, sequence: batch.first, ...item, reason: refusal.message })
    if (cursor.rejected === 1)
      this.#options.say(
        `${this.exporter.name}: ${batch.kind.slice(0, -1)} '${item.name}' is refused and set aside, the others go on: ${refusal.message}`,
      )
    this.#passed(batch)
  }

  #passed(batch: Batch): void {
    this.#progressAt = this.#clock.now()
    if (batch.kind !== 'points') return
    this.#waitingSince = this.#waiting > 0 ? this.#clock.now() : null
    this.#journal.forget(this.#cursors.get('points')!.position)
  }

  /** Something went well: a suspended destination is back. */
  #moved(): void {
    this.#progressAt = this.#clock.now()
    if (this.#suspendedSince === null || this.#waiting >= FLUSH_POINTS) return
    const seconds = ((this.#clock.now() - this.#suspendedSince) / 1000).toFixed(1)
    const count = (this.#cursors.get('points')?.delivered ?? 0) - this.#deliveredBefore
    this.#suspendedSince = null
    this.#account.state('ok', null)
    this.#options.say(
      `${this.exporter.name}: back after ${seconds} s; ${count.toLocaleString('en-US')} points that had waited are delivered`,
    )
  }

  async #suspend(failure: Error): Promise<void> {
    if (this.#cut.signal.aborted) return
    if (this.#suspendedSince === null) {
      this.#suspendedSince = this.#clock.now()
      this.#deliveredBefore = this.#cursors.get('points')?.delivered ?? 0
    }
    this.#account.state('suspended', failure.message)
    if (this.#clock.now() - this.#warnedAt >= WARNING_MS) {
      this.#warnedAt = this.#clock.now()
      const waiting = this.#waiting === 0 ? 'Metrics wait' : `${this.#waiting.toLocaleString('en-US')} points wait`
      this.#options.say(
        `${failure.message}${/[.?!]$/.test(failure.message) ? '' : '.'} ${waiting} in the journal; tried again each second.`,
      )
    }
    await pause(PROBE_MS, this.#clock, this.#cut.signal)
  }
}
