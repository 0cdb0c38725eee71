import type { Batch, Exporter, OpenResult, SendResult } from '../../src/exporters/exporter.ts'

/** An exporter that keeps what it is sent; what it answers is the test's to say. */
export class MemoryExporter implements Exporter {
  readonly name = 'memory'
  readonly address = 'memory:'
  accepts: Exporter['accepts'] = { points: 1000, params: 100, tags: 100 }
  /** Points taken, as `key@step`. */
  readonly taken: string[] = []
  readonly texts: string[] = []
  /** Sizes of the batches of points, in order, refused ones too. */
  readonly sizes: number[] = []
  opens = 0
  closedWith: string | null = null
  onOpen: () => OpenResult | Promise<OpenResult> = () => ({ kind: 'ok', runId: 'r1', made: true, page: 'memory:r1' })
  onSend: (batch: Batch, abort: AbortSignal) => SendResult | Promise<SendResult> = () => ({ kind: 'ok' })
  onClose: () => SendResult = () => ({ kind: 'ok' })

  async openRun(): Promise<OpenResult> {
    this.opens += 1
    return this.onOpen()
  }

  async send(_runId: string, batch: Batch, abort: AbortSignal): Promise<SendResult> {
    if (batch.kind === 'points') this.sizes.push(batch.count)
    const result = await this.onSend(batch, abort)
    if (result.kind !== 'ok') return result
    if (batch.kind !== 'points') this.texts.push(...batch.entries.map(([name, value]) => `${name}=${value}`))
    else for (let i = 0; i < batch.count; i += 1) this.taken.push(`${batch.keyOf(batch.series[i]!)}@${batch.step[i]}`)
    return result
  }

  async closeRun(_runId: string, end: { status: string }): Promise<SendResult> {
    const result = this.onClose()
    if (result.kind === 'ok') this.closedWith = end.status
    return result
  }

  close = async (): Promise<void> => {}
}
