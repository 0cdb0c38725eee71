import type {
  Batch,
  Confirmation,
  Exporter,
  OpenResult,
  PointBatch,
  RunToOpen,
  SendResult,
} from '../../src/exporters/exporter.ts'
import { rowsIn, type SpanRow } from '../../src/otlp/span-blocks.ts'

/** An exporter that keeps what it is sent; what it answers is the test's to say. */
export class MemoryExporter implements Exporter {
  readonly name = 'memory'
  readonly address = 'memory:'
  readonly target = {}
  accepts: Exporter['accepts'] = { points: 1000, params: 100, tags: 100 }
  /** Points taken, as `key@step`. */
  readonly taken: string[] = []
  readonly texts: string[] = []
  readonly spans: SpanRow[] = []
  /** Sizes of the batches of points, in order, refused ones too. */
  readonly sizes: number[] = []
  opens = 0
  /** What it was asked for, each time. */
  readonly asks: RunToOpen[] = []
  closedWith: string | null = null
  /** Every end that it was told, those that it did not take, too. */
  readonly ends: { runId: string; status: string; time: number; made: boolean }[] = []
  isClosed = false
  onOpen: (run: RunToOpen, abort: AbortSignal) => OpenResult | Promise<OpenResult> = () => ({
    kind: 'ok',
    runId: 'r1',
    made: true,
    page: 'memory:r1',
  })
  onSend: (batch: Batch, abort: AbortSignal) => SendResult | Promise<SendResult> = () => ({ kind: 'ok' })
  onClose: (abort: AbortSignal) => SendResult | Promise<SendResult> = () => ({ kind: 'ok' })

  async openRun(run: RunToOpen, abort: AbortSignal): Promise<OpenResult> {
    this.opens += 1
    this.asks.push(run)
    return this.onOpen(run, abort)
  }

  async send(_runId: string, batch: Batch, abort: AbortSignal): Promise<SendResult> {
    if (batch.kind === 'points') this.sizes.push(batch.count)
    const result = await this.onSend(batch, abort)
    if (result.kind !== 'ok') return result
    if (batch.kind === 'spans') this.spans.push(...rowsIn(batch.blocks))
    else if (batch.kind !== 'points') this.texts.push(...batch.entries.map(([name, value]) => `${name}=${value}`))
    else for (let i = 0; i < batch.count; i += 1) this.taken.push(`${batch.keyOf(batch.series[i]!)}@${batch.step[i]}`)
    return result
  }

  async closeRun(
    runId: string,
    end: { status: string; time: number; made: boolean },
    abort: AbortSignal,
  ): Promise<SendResult> {
    this.ends.push({ runId, ...end })
    const result = await this.onClose(abort)
    if (result.kind === 'ok') this.closedWith = end.status
    return result
  }

  close = async (): Promise<void> => void (this.isClosed = true)
}

/** What becomes of the next request: its answer or itself is lost, nobody is there, or nothing special. */
export type Fate = 'answer' | 'request' | 'away' | 'none'

/** An exporter that stores points as a set and can be asked for them, over a line that loses things. */
export class ConfirmingExporter extends MemoryExporter {
  /** Fate of the next request with points. */
  lose: Fate = 'none'
  fates: Fate[] = []
  canTell = true
  poison = new Set<number>()
  asked = 0
  /** Points stored again. */
  repeats = 0
  readonly stored: string[] = []

  store(batch: Batch): void {
    if (batch.kind !== 'points') return
    for (let i = 0; i < batch.count; i += 1) {
      const id = `${batch.keyOf(batch.series[i]!)}@${batch.step[i]}`
      if (this.stored.includes(id)) this.repeats += 1
      else this.stored.push(id)
    }
  }

  override async send(runId: string, batch: Batch, abort: AbortSignal): Promise<SendResult> {
    const fate = batch.kind === 'points' && batch.count > 0 ? (this.fates.shift() ?? this.lose) : 'none'
    this.lose = 'none'
    if (fate === 'away') return { kind: 'retry', error: new Error('nobody is there'), absent: true }
    const isRefused = batch.kind === 'points' && batch.step.some((step) => this.poison.has(step))
    if (fate === 'request') {
      if (batch.kind === 'points') this.sizes.push(batch.count)
      return { kind: 'unanswered', error: new Error('lost') }
    }
    if (isRefused && fate === 'none') return { kind: 'drop', error: new Error('this point is refused') }
    const result = await super.send(runId, batch, abort)
    if (result.kind === 'ok' && !isRefused) this.store(batch)
    return fate === 'answer' ? { kind: 'unanswered', error: new Error('lost'), absent: true } : result
  }

  confirm = async (_runId: string, batch: PointBatch, heightOf: (series: number) => number): Promise<Confirmation> => {
    this.asked += 1
    if (!this.canTell) return { kind: 'unknown' }
    const at = batch.step.findIndex((step, i) => step > heightOf(batch.series[i]!))
    if (at < 0) return { kind: 'unknown' }
    return { kind: this.stored.includes(`${batch.keyOf(batch.series[at]!)}@${batch.step[at]}`) ? 'stored' : 'missing' }
  }
}
