import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { cpuSeconds, demand, inBench, piped, spanbridge, until, type Whole } from '../harness/processes.ts'
import { syncMs } from '../harness/disk.ts'
import type { Bench, Family, Measured } from '../harness/row.ts'
import { alternate, compared, median } from '../harness/statistics.ts'
import { NUMBERS, writeLines } from '../load/lines.ts'
import { startSink, type Sink } from '../load/parties.ts'
import { startCollector } from '../peers/collector.ts'

const A_MILLION = 1e6
/** A file system in memory: an fsync there costs nothing. */
const IN_MEMORY = '/dev/shm'

/** `cat FILE | spanbridge`, to its end; nothing may be missing in the journal, or at the sink. */
async function bridge(file: string, lines: number, work: string, sink: Sink | null): Promise<Whole> {
  const stateDir = mkdtempSync(join(work, 'state-'))
  await sink?.clear()
  // The file comes faster than anything could be delivered: without waiting, what is beyond the pool would be dropped.
  const flags = ['--quiet', '--stdin', 'on', '--channel-when-full', 'block', '--state-dir', stateDir]
  const whole = piped(file, [spanbridge(), ...flags, ...(sink === null ? [] : ['--mlflow-tracking-uri', sink.url])])
  const points = lines * NUMBERS
  demand(stateDir, { points, isDelivered: sink !== null })
  const taken = (await sink?.account())?.points ?? points
  if (taken !== points) throw new Error(`expected ${points} points at the sink, got ${taken}`)
  rmSync(stateDir, { recursive: true })
  return whole
}

/** Processor time of a Collector that reads the same file and delivers it, from its start to the last line at the sink. */
async function collector(bench: Bench, file: string, lines: number, round: number, sink: Sink): Promise<number> {
  const work = join(bench.work, `collector-${round}`)
  mkdirSync(work)
  await sink.clear()
  const options = { command: bench.peers.path('collector'), work, sink: sink.url, queue: 'disk', file } as const
  const { pid, stop } = await startCollector(options)
  await until('delivery of all lines', async () => (await sink.account()).logs >= lines)
  const cpu = cpuSeconds(pid)
  await stop()
  const { logs } = await sink.account()
  if (logs !== lines) throw new Error(`expected ${lines} lines at the sink, got ${logs}`)
  return cpu
}

/** Lines with 10 numbers through the whole bridge, in processes that are measured from start to end. */
export const family: Family = {
  rows: [
    {
      id: 'sink-chain',
      what: 'stdin to acknowledged POST at a null sink, lines per second',
      against: 'a bare chain that cuts, parses and fills columns',
      unit: 'x',
      goal: { atLeast: 0.25 },
    },
    {
      id: 'sink-text',
      what: 'the same numbers as the text of log-batch, which nobody reads, keeps or sends, lines per second of one thread',
      against: 'the same chain',
      unit: 'x',
      goal: null,
    },
    {
      id: 'sink-post',
      what: 'that text posted with undici to the same sink, each put together while the one before is answered',
      against: 'the same chain',
      unit: 'x',
      goal: null,
    },
    {
      id: 'journal-cost',
      what: 'CPU of that with the journal on disk (FULL)',
      against: 'the journal in memory (tmpfs, where fsync does nothing)',
      unit: 'x',
      goal: { atMost: 1.15 },
    },
    {
      id: 'cpu-lines-posted',
      what: 'CPU per million lines of 10 numbers, journaled and posted as log-batch',
      against: 'Collector: filelog, json_parser, file_storage, OTLP out',
      unit: 'x',
      goal: { atMost: 0.5 },
      peer: 'collector',
    },
    {
      id: 'cpu-lines-journal',
      what: 'the same, journaled only',
      against: 'the same Collector',
      unit: 'x',
      goal: { atMost: 0.25 },
      peer: 'collector',
    },
  ],
  async run(bench, wanted): Promise<Record<string, Measured | Error>> {
    // Fewer lines tell more of the start than of a line.
    const lines = bench.isQuick ? 100_000 : A_MILLION
    const file = join(bench.work, 'lines.jsonl')
    await writeLines(file, lines)
    const sink = await startSink()
    const inMemory = existsSync(IN_MEMORY) ? mkdtempSync(join(IN_MEMORY, 'spanbridge-bench-')) : null
    const perMillion = (wholes: readonly Whole[]): number[] =>
      wholes.map((whole) => (whole.cpuSeconds * A_MILLION) / lines)
    const rates = (wholes: readonly Whole[]): number[] => wholes.map(({ seconds }) => lines / seconds)
    const needed = (...rows: string[]): boolean => rows.some((row) => wanted.has(row))
    let missing: Error | null = null
    try {
      if (needed('cpu-lines-posted', 'cpu-lines-journal')) bench.peers.path('collector')
    } catch (error) {
      missing = error as Error
    }
    const hasCollector = missing === null && needed('cpu-lines-posted', 'cpu-lines-journal')
    try {
      const { sync, bare, text, post, posted, volatile, journal, theirs } = await alternate(bench.rounds, {
        sync: () => syncMs(bench.work),
        bare: () =>
          needed('sink-chain', 'sink-text', 'sink-post')
            ? piped(file, [process.execPath, inBench('load/parse-chain.ts')])
            : null,
        text: () =>
          needed('sink-text')
            ? piped('/dev/null', [process.execPath, inBench('load/text-chain.ts'), String(lines)])
            : null,
        post: () =>
          needed('sink-post')
            ? piped('/dev/null', [process.execPath, inBench('load/text-chain.ts'), String(lines), sink.url])
            : null,
        posted: () => bridge(file, lines, bench.work, sink),
        volatile: () => (needed('journal-cost') && inMemory !== null ? bridge(file, lines, inMemory, sink) : null),
        journal: () => (needed('cpu-lines-journal') ? bridge(file, lines, bench.work, null) : null),
        theirs: (round) => (hasCollector ? collector(bench, file, lines, round, sink) : null),
      })
      const unit = 'CPU s per million'
      const disk = `fdatasync of 4 KB: ${median(sync).toFixed(2)} ms`
      const all = <T>(values: readonly (T | null)[]): T[] => values.filter((value) => value !== null)
      const unsynced = rates(all(volatile))
      const inMemoryRate =
        unsynced.length === 0
          ? ''
          : `; journal in memory: ${Math.round(median(unsynced)).toLocaleString('en-US')} lines/s`
      const collectorCpu = all(theirs).map((cpu) => (cpu * A_MILLION) / lines)
      return {
        'sink-chain': compared(rates(posted), rates(all(bare)), 'lines/s', disk + inMemoryRate),
        'sink-text': compared(rates(all(text)), rates(all(bare)), 'lines/s'),
        'sink-post': compared(rates(all(post)), rates(all(bare)), 'lines/s'),
        'journal-cost':
          inMemory === null
            ? new Error(`${IN_MEMORY} is not here`)
            : compared(perMillion(posted), perMillion(all(volatile)), unit, disk),
        'cpu-lines-posted': missing ?? compared(perMillion(posted), collectorCpu, unit),
        'cpu-lines-journal': missing ?? compared(perMillion(all(journal)), collectorCpu, unit),
      }
    } finally {
      sink.stop()
      if (inMemory !== null) rmSync(inMemory, { recursive: true, force: true })
    }
  },
}
