import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RunStart } from '../../src/channel/messages.ts'
import { readFlags } from '../../src/config/flags.ts'
import { loadSettings } from '../../src/config/load.ts'
import { isEmpty, readJournal } from '../../src/journal/status.ts'
import { Disk, type DiskFaults } from './disk.ts'
import {
  checkAccount,
  checkDelivered,
  checkEvents,
  checkPrefix,
  isSamePoint,
  readHeld,
  type Held,
  type Partial,
} from './laws.ts'
import { Network, noNetworkFaults, type NetworkFaults } from './network.ts'
import { Process, type Surroundings } from './process.ts'
import { Random } from './random.ts'
import { MLFLOW, Servers, SINK } from './servers.ts'
import { Time } from './time.ts'
import { START_PARAMS, Trainer, type Written } from './trainer.ts'

/** A run that comes by OTLP ends after this long without data; short, so that schedules see it. */
const IDLE_MS = 60_000
/** Virtual time in which everything has to be delivered once no faults happen any more. */
const PROGRESS_MS = 180_000
/** A limit that runs of a schedule reach, in some of them; an empty journal takes 90 kB. */
const SMALL_JOURNAL_BYTES = 250_000
/** Timers that one process may have. */
const MAX_TIMERS = 500

/** Tables whose writes a death, or a failure of the disk, may be aimed at: the moments between two writes of what belongs together are few. */
const WRITTEN = [
  'blocks',
  'spans',
  'events',
  'counters',
  'waiting',
  'params',
  'meta',
  'destinations',
  'cursors',
  'heights',
  'rejected',
] as const

/** Most writes until then, where a table is written as often as that; an aim behind the last write is none. */
const MOST_WRITES = 60
const FEW_WRITES = 6
const WRITTEN_RARELY: ReadonlySet<Death> = new Set(['destinations', 'rejected'])

/** What is counted until a process dies: events, statements, or those that write into one table. */
type Death = 'event' | 'statement' | (typeof WRITTEN)[number]

const isAt = (sql: string, death: Death): boolean =>
  death === 'statement' || /^\s*(?:INSERT INTO|UPDATE|DELETE FROM) (\w+)/.exec(sql)?.[1] === death

export interface Result {
  seed: number
  violations: string[]
  /** What happened, for whoever looks for the cause. */
  trace: string[]
  kills: number
  points: number
}

const settings = loadSettings(
  readFlags(
    ['--mlflow-tracking-uri', `http://${MLFLOW}`, '--otlp-endpoint', `http://${SINK}`, '--runs-idle', `${IDLE_MS}ms`],
    false,
  ),
  {},
).settings

/** Files in memory: what is under a commit is SQLite's matter, and told elsewhere. */
const ROOT = (() => {
  const name = `spanbridge-simulation-${process.pid}-`
  try {
    return mkdtempSync(join('/dev/shm', name))
  } catch {
    return mkdtempSync(join(tmpdir(), name))
  }
})()
process.once('exit', () => rmSync(ROOT, { recursive: true, force: true }))

/** Plays the schedule of a seed. */
export async function play(seed: number): Promise<Result> {
  const schedule = new Schedule(seed)
  return schedule.play()
}

class Schedule {
  readonly #seed: number
  readonly #random: Random
  readonly #time: Time
  readonly #disk: Disk
  readonly #servers = new Servers(() => this.#time.now)
  readonly #network: Network
  readonly #surroundings: Surroundings
  readonly #stateDir: string
  readonly #trace: string[] = []
  readonly #violations: string[] = []
  readonly #trainers: Trainer[] = []
  /** Points that were delivered, or may have been, from a memory that has died. */
  readonly #extra = new Map<Trainer, Written[]>()
  #process: Process | null = null
  /** Journals reach their limits. */
  readonly #isSmall: boolean
  /** Statements or events until the process dies, or none. */
  #dieIn = Infinity
  #diesBy: Death = 'event'
  /** The disk fails once where the process would have died. */
  #isOnlyFailure = false
  #kills = 0
  #started = 0

  constructor(seed: number) {
    this.#seed = seed
    this.#random = new Random(seed)
    this.#time = new Time(this.#random)
    this.#disk = new Disk(this.#time, this.#random)
    this.#network = new Network(this.#time, this.#random, this.#servers.serve)
    this.#stateDir = join(ROOT, String(seed))
    const trace = (line: string): void => void this.#trace.push(`${this.#time.now.toFixed(3)} ${line}`)
    this.#network.trace = trace
    this.#network.onSent = (request) => this.#servers.sent(request)
    this.#isSmall = this.#random.chance(0.15)
    this.#servers.mayOvertake = this.#isSmall
    this.#surroundings = {
      time: this.#time,
      random: this.#random,
      disk: this.#disk,
      network: this.#network,
      settings: this.#isSmall ? { ...settings, 'journal.maxRunBytes': SMALL_JOURNAL_BYTES } : settings,
      batch: this.#random.of([1000, 1000, 200, 60, 20, 7]),
      stateDir: this.#stateDir,
      trace,
      trainerOf: (run, start) => this.#trainerOf(run, start),
    }
    this.#time.onEvent = () => this.#tick(this.#diesBy === 'event')
    this.#disk.onStatement = (sql) => this.#tick(this.#diesBy !== 'event' && isAt(sql, this.#diesBy))
    if (this.#random.chance(0.2)) this.#servers.mlflow.version = '3.15.2'
    if (this.#random.chance(0.1)) this.#servers.mlflow.knowsInterval = false
  }

  async play(): Promise<Result> {
    mkdirSync(this.#stateDir, { recursive: true })
    const onRejection = (error: unknown): void => {
      if (this.#process?.life.alive === true) this.#violations.push(`an unhandled rejection: ${(error as Error).stack}`)
    }
    process.on('unhandledRejection', onRejection)
    this.#time.install()
    this.#disk.install()
    try {
      for (let processes = this.#random.whole(1, 4); processes > 0; processes -= 1) await this.#live()
      await this.#deliverAll()
    } catch (error) {
      this.#violations.push(`a fault: ${(error as Error).stack}`)
    } finally {
      if (this.#process !== null) this.#disk.release(this.#process.life)
      this.#disk.uninstall()
      this.#time.uninstall()
      process.off('unhandledRejection', onRejection)
      rmSync(this.#stateDir, { recursive: true, force: true })
    }
    return {
      seed: this.#seed,
      violations: [...this.#violations, ...this.#servers.violations],
      trace: this.#trace,
      kills: this.#kills,
      points: this.#trainers.reduce((sum, { points }) => sum + points.length, 0),
    }
  }

  /** The life of one process, from its start to its death or its orderly end. */
  async #live(): Promise<void> {
    const random = this.#random
    const process = (this.#process = new Process(this.#surroundings))
    this.#network.faults = this.#networkFaults()
    this.#diesBy = random.chance(0.5) ? random.of(['statement', 'event']) : random.of(WRITTEN)
    const isAny = this.#diesBy === 'statement' || this.#diesBy === 'event'
    const most = isAny ? 3000 : WRITTEN_RARELY.has(this.#diesBy) ? FEW_WRITES : MOST_WRITES
    this.#dieIn = random.chance(0.7) ? random.long(1, most) : Infinity
    this.#isOnlyFailure = !isAny && random.chance(0.3)
    // Limits and failing disks meet.
    const faults: DiskFaults = random.chance(this.#isSmall ? 0.5 : 0.25)
      ? { failure: random.long(1, 100) / 1000, slow: random.next() / 5 }
      : { failure: 0, slow: random.chance(0.2) ? random.next() / 5 : 0 }
    const what = this.#isOnlyFailure ? 'its disk fails' : 'dies'
    this.#surroundings.trace(
      `a process starts, ${what} in ${this.#dieIn} of ${this.#diesBy}; ${JSON.stringify(faults)}`,
    )
    await this.#begin(process)
    this.#disk.faults = faults
    for (let acts = random.long(1, 60); acts > 0 && process.life.alive; acts -= 1) {
      await this.#weather()
      await this.#act(process)
      await this.#pass(random.long(1, 4000))
    }
    if (process.life.alive && random.chance(0.7)) await this.#finish(process)
    if (process.life.alive && process.outcome === null) await this.#enter(() => process.kill())
    this.#disk.faults = { failure: 0, slow: 0 }
    this.#disk.failsNext = false
    if (process.isOverflown) this.#servers.isLenient = true
    if (process.outcome === null) this.#kills += 1
    else await this.#pass(100) // its last words
    if (process.life.alive) {
      process.life.alive = false
      this.#disk.release(process.life)
    }
    this.#lookAtRest(process)
    await this.#pass(random.long(1, 90_000))
  }

  /** A run of its own, some that come by OTLP, or one that goes on. */
  async #begin(process: Process): Promise<void> {
    const random = this.#random
    const interrupted = this.#trainers.filter((trainer) => trainer.start.identity === null && trainer.end === null)
    const old = random.chance(0.6) ? interrupted.at(-1) : undefined
    if (old !== undefined)
      await this.#enter(() => process.begin({ start: this.#newStart(null), resume: this.#journalOf(old) }))
    else if (random.chance(0.8)) await this.#enter(() => process.begin({ start: this.#newStart(null), resume: null }))
    else await this.#enter(() => process.post({ kind: 'open' }))
  }

  #newStart(identity: string | null): RunStart {
    this.#started += 1
    return {
      run: `01SIM${String(this.#started).padStart(4, '0')}`,
      identity,
      trackerRun: null,
      name: `run ${this.#started}`,
      source: identity === null ? 'stdin' : 'network',
      directory: '/nowhere',
      command: [],
      startedAt: this.#time.date(),
      params: this.#random.chance(0.5) ? START_PARAMS.slice(0, this.#random.whole(1, 2)) : [],
      tags: this.#random.chance(0.5) ? [['team', 'rl']] : [],
    }
  }

  #trainerOf(run: string, start: RunStart): Trainer {
    let trainer = this.#trainers.find((each) => each.start.run === run)
    if (trainer === undefined) {
      trainer = new Trainer(this.#trainers.length, { ...start, run }, this.#random)
      this.#trainers.push(trainer)
    } else for (const param of start.params) trainer.know(param)
    trainer.end = null
    return trainer
  }

  #journalOf = (trainer: Trainer): string => join(this.#stateDir, `${trainer.start.run}.sqlite`)

  /** Servers and clocks change, and with them the faults. */
  async #weather(): Promise<void> {
    const random = this.#random
    const { down } = this.#network
    if (random.chance(0.05)) this.#network.faults = this.#networkFaults()
    for (const host of [MLFLOW, SINK])
      if (random.chance(down.has(host) ? 0.2 : 0.04)) {
        if (!down.delete(host)) down.add(host)
        this.#surroundings.trace(`${host} is ${down.has(host) ? 'down' : 'up'}`)
      }
    // While a request to make a run is under way its time is all that another process knows of it.
    if (random.chance(0.03) && this.#network.underWay === 0)
      this.#time.offset += random.whole(-1, 1) * random.long(1, 100_000_000)
    if (random.chance(0.02)) this.#toggleDeleted()
  }

  /** Somebody deletes a run at the tracker, or restores it. */
  #toggleDeleted(): void {
    const run = this.#random.of([...this.#servers.mlflow.runs.values()])
    if (run === undefined || run.points.size === 0) return
    run.info.lifecycle_stage = run.info.lifecycle_stage === 'active' ? 'deleted' : 'active'
    this.#surroundings.trace(`${run.info.run_id} is ${run.info.lifecycle_stage}`)
  }

  #networkFaults(): NetworkFaults {
    if (this.#random.chance(0.3)) return noNetworkFaults
    const share = (): number => (this.#random.chance(0.4) ? this.#random.next() * 0.25 : 0)
    return Object.fromEntries(Object.keys(noNetworkFaults).map((kind) => [kind, share()])) as unknown as NetworkFaults
  }

  async #act(process: Process): Promise<void> {
    const random = this.#random
    if (process.begun.length < 4 && random.chance(process.begun.length === 0 ? 0.5 : 0.05)) {
      const identity = `trainer ${random.whole(1, 2)}`
      if (!process.begun.some((start) => start.identity === identity))
        await this.#enter(() => process.begin({ start: this.#newStart(identity), resume: null }))
    }
    // What is said of a run that is being opened waits for that.
    const open = process.runs
    if (open.length === 0) return
    const trainer = random.of(open)
    await this.#enter(() => {
      const messages = trainer.act()
      const isRequest = messages.some(({ kind }) => kind === 'spans' || kind === 'settled') || random.chance(0.2)
      process.say(trainer, messages, isRequest)
    })
  }

  async #finish(process: Process): Promise<void> {
    const random = this.#random
    const isOpen = (): boolean => process.runs.length === process.begun.length
    await this.#until(() => isOpen() || !process.life.alive, 30_000)
    if (!process.life.alive) return
    if (!isOpen()) {
      this.#violations.push('a run that was begun is not opened')
      return
    }
    await this.#enter(() => {
      for (const trainer of process.runs)
        process.say(trainer, trainer.finish(random.of(['FINISHED', 'FAILED', 'KILLED']), this.#time.date()), true)
      process.post({ kind: 'finish', limitMs: random.chance(0.3) ? 8000 : null })
    })
    await this.#until(() => process.outcome !== null || !process.life.alive, 600_000)
    if (process.life.alive && process.outcome === null)
      this.#violations.push('an orderly end takes more than 10 minutes')
    if (process.outcome !== null && process.buffers !== 0)
      this.#violations.push(`${process.buffers} buffers of points have not come back`)
    if (process.outcome !== null && process.unanswered !== 0)
      this.#violations.push(`${process.unanswered} barriers were not answered`)
  }

  /** Nothing fails any more: whatever is left must be delivered within minutes. */
  async #deliverAll(): Promise<void> {
    this.#surroundings.trace('no more faults')
    this.#network.faults = noNetworkFaults
    this.#network.down.clear()
    this.#dieIn = Infinity
    for (const run of this.#servers.mlflow.runs.values()) if (run.points.size > 0) run.info.lifecycle_stage = 'active'
    // What still wanders through the network has arrived before anybody looks.
    await this.#pass(40_000)
    const process = (this.#process = new Process(this.#surroundings))
    await this.#enter(() => process.post({ kind: 'open' }))
    const isDone = (): boolean =>
      this.#journals()
        .map(readJournal)
        .every(({ destinations }) =>
          destinations.every(
            ({ state, points, params, tags, spans, ended }) =>
              state === 'disabled' ||
              (ended && points.pending + params.pending + tags.pending + (spans?.pending ?? 0) === 0),
          ),
        )
    for (let ms = 5000; ms < PROGRESS_MS && !isDone(); ms *= 2) await this.#pass(ms)
    await this.#enter(() => process.post({ kind: 'finish', limitMs: null }))
    await this.#until(() => process.outcome !== null, 60_000)
    if (process.outcome === null) this.#violations.push('the last process does not end')
    process.life.alive = false
    this.#disk.release(process.life)
    for (const held of this.#heldJournals()) {
      if (!held.isWhole) continue
      const trainer = this.#trainers.find(({ start }) => start.run === held.status.run)
      const extra =
        trainer === undefined
          ? []
          : [...(this.#extra.get(trainer) ?? []), ...trainer.points.slice(0, held.status.notKept.points)]
      const wrong = [...checkAccount(held), ...checkDelivered(held, this.#servers, extra)]
      this.#violations.push(...wrong.map((text) => `${held.status.run} at the end: ${text}`))
    }
    if (this.#time.waiting > MAX_TIMERS * 10) this.#violations.push(`${this.#time.waiting} timers are left`)
  }

  #journals(): string[] {
    return readdirSync(this.#stateDir)
      .filter((name) => name.endsWith('.sqlite'))
      .map((name) => join(this.#stateDir, name))
      .filter((path) => !isEmpty(path))
  }

  #heldJournals(): (Held | Partial)[] {
    return this.#journals().map(readHeld)
  }

  /** What a process has left behind holds the laws, and all that was acknowledged. */
  #lookAtRest(process: Process): void {
    for (const held of this.#heldJournals()) {
      const trainer = this.#trainers.find(({ start }) => start.run === held.status.run)
      if (!held.isWhole) {
        if (!this.#servers.isLenient)
          this.#violations.push(`${held.status.run}: the journal lacks points that it counts`)
        continue
      }
      if (trainer === undefined) continue // its process has died before it heard of it
      const acked = process.acked.get(trainer) ?? { points: 0, spans: 0, events: 0 }
      const { notKept, journaled } = held.status
      const wrong = [
        ...checkAccount(held),
        ...checkPrefix({
          what: 'points',
          held: held.points,
          written: trainer.points,
          acked: acked.points,
          notKept: notKept.points,
          isSame: isSamePoint,
        }),
        ...checkPrefix({
          what: 'spans',
          held: held.spans,
          written: trainer.spans,
          acked: acked.spans,
          notKept: notKept.spans,
          isSame: (a, b) => a === b,
        }),
        ...checkEvents({
          held,
          written: trainer.events,
          acked: acked.events,
          isWhole: !this.#isSmall && !this.#servers.isLenient,
        }),
      ]
      for (const [name, value] of held.params)
        if (trainer.params.get(name)?.has(value) !== true) wrong.push(`the param ${name} was never ${value}`)
      this.#violations.push(...wrong.map((text) => `${held.status.run} at rest: ${text}`))
      if (
        process.outcome !== null &&
        !process.isOverflown &&
        journaled.points < trainer.points.length &&
        process.runs.includes(trainer)
      )
        this.#violations.push(
          `${held.status.run}: ${trainer.points.length - journaled.points} points are lost by an orderly end`,
        )
      const { eventAccount } = held.status
      if (
        process.outcome !== null &&
        !process.isOverflown &&
        eventAccount.journaled < trainer.events.length &&
        process.runs.includes(trainer)
      )
        this.#violations.push(`${held.status.run}: events are lost by an orderly end`)
      const lost = trainer.lost({ ...journaled, events: eventAccount.journaled })
      this.#extra.set(trainer, [...(this.#extra.get(trainer) ?? []), ...(process.isOverflown ? lost : [])])
      if (held.status.status === 'interrupted') trainer.end = null
    }
  }

  #tick(counts: boolean): void {
    if (!counts || this.#process === null || this.#time.life !== this.#process.life) return
    this.#dieIn -= 1
    if (this.#dieIn > 0) return
    this.#dieIn = Infinity
    if (this.#diesBy === 'event' || this.#diesBy === 'statement') {
      if (!this.#isOnlyFailure) this.#process.kill()
      this.#disk.failsNext = true
      return
    }
    // At a write that is aimed at, or at one of the statements behind it.
    this.#diesBy = 'statement'
    this.#dieIn = this.#random.whole(1, 4)
  }

  #enter(code: () => void): Promise<void> {
    return this.#time.enter(this.#process!.life, code)
  }

  async #pass(ms: number): Promise<void> {
    await this.#time.run(() => false, this.#time.now + ms)
    this.#checkTimers()
  }

  async #until(condition: () => boolean, ms: number): Promise<void> {
    await this.#time.run(condition, this.#time.now + ms)
  }

  #checkTimers(): void {
    if (this.#process !== null && this.#time.waiting > MAX_TIMERS * 10)
      this.#violations.push(`${this.#time.waiting} timers wait`)
  }
}
