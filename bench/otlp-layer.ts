import { readFlags } from '../src/config/flags.ts'
import { loadSettings, rulesOf } from '../src/config/load.ts'
import { globs } from '../src/layer/globs.ts'
import { Layer, type LayerOutput } from '../src/layer/layer.ts'
import { compileRules } from '../src/layer/rules.ts'
import { SpanLayer } from '../src/layer/spans.ts'
import { WaitingLedger } from '../src/layer/waiting.ts'
import type { SpanColumns } from '../src/otlp/columns.ts'
import { Counters, POINTS } from '../src/telemetry/counters.ts'

const POINTS_A_CHUNK = 1000

/** The layer as the daemon has it; points go into the columns of a chunk, over and over. */
export function layerOf(): { take: (columns: SpanColumns) => number } {
  const { settings } = loadSettings(readFlags([], false), {})
  const rules = compileRules(rulesOf(settings))
  const counters = new Counters()
  const chunk = {
    series: new Uint32Array(POINTS_A_CHUNK),
    step: new Float64Array(POINTS_A_CHUNK),
    time: new Float64Array(POINTS_A_CHUNK),
    value: new Float64Array(POINTS_A_CHUNK),
  }
  let at = 0
  const out: LayerOutput = {
    series: () => {},
    params: () => {},
    firstSkipped: () => {},
    point: (series: number, step: number, time: number, value: number): void => {
      chunk.series[at] = series
      chunk.step[at] = step
      chunk.time[at] = time
      chunk.value[at] = value
      at = at + 1 === POINTS_A_CHUNK ? 0 : at + 1
    },
    points: (count, series, step, time, values): void => {
      if (at + count > POINTS_A_CHUNK) {
        for (let i = 0; i < count; i += 1) out.point(series[i]!, step, time, values[i]!)
        return
      }
      for (let i = 0; i < count; i += 1, at += 1) {
        chunk.series[at] = series[i]!
        chunk.step[at] = step
        chunk.time[at] = time
        chunk.value[at] = values[i]!
      }
      if (at === POINTS_A_CHUNK) at = 0
    },
  }
  const run = {
    layer: new Layer(rules, out, counters),
    counters,
    ledger: new WaitingLedger({ waiting: () => {}, settled: () => {} }),
    names: new Set<string>(),
    putEvent: () => {},
  }
  const spans = new SpanLayer({ rules, isMeasured: globs(['*']), allows: () => true })
  return {
    /** @returns how many points there are of them */
    take: (columns) => {
      const before = counters.values[POINTS]!
      spans.columns(columns, [...columns.groups.keys()], run, Date.now())
      return counters.values[POINTS]! - before
    },
  }
}
