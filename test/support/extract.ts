import type { EventLevel, EventRow } from '../../src/channel/messages.ts'
import { SETTINGS } from '../../src/config/settings.ts'
import { compileRules, type LayerSettings } from '../../src/layer/rules.ts'
import { LineReader } from '../../src/receivers/lines/index.ts'
import type { LineFilter } from '../../src/receivers/lines/origin.ts'
import type { Preset } from '../../src/receivers/lines/preset-names.ts'
import { Presets } from '../../src/receivers/lines/presets.ts'
import { COUNTERS, Counters } from '../../src/telemetry/counters.ts'

export interface Extracted {
  points: { key: string; step: number; time: number; value: number }[]
  params: (readonly [string, string])[]
  keys: string[]
  examples: Record<string, string>
  /** Those of level WARN and above. */
  events: EventRow[]
  /** Counters that are not 0, by name. */
  counts: Record<string, number>
}

export const defaultLayer: LayerSettings = {
  categories: SETTINGS.categories.default,
  stepFields: SETTINGS['steps.fields'].default,
  stepFieldsByCategory: SETTINGS['steps.byCategory'].default,
  inherit: SETTINGS['steps.inherit'].default,
}

/** When everything in these tests is received. */
export const RECEIVED_AT = 1_700_000_000_000

/** Reads bytes as the receivers do, handed over in pieces as `cut` says. */
export function extract(
  input: Buffer | string,
  {
    settings = {},
    wrappers = SETTINGS['layer.wrappers'].default,
    filter,
    cut = (bytes: Buffer) => [bytes],
    isParsed = false,
    preset = 'off',
  }: {
    settings?: Partial<LayerSettings>
    wrappers?: readonly string[]
    filter?: LineFilter
    cut?: (bytes: Buffer) => Buffer[]
    /** Each line is parsed, though others like it were there before: somebody wants its events. */
    isParsed?: boolean
    preset?: Preset
  } = {},
): Extracted {
  const counters = new Counters()
  const found: Extracted = { points: [], params: [], keys: [], examples: {}, events: [], counts: {} }
  const out = {
    series: (id: number, key: string): void => void (found.keys[id] = key),
    point: (series: number, step: number, time: number, value: number): void =>
      void found.points.push({ key: found.keys[series]!, step, time, value }),
    params: (params: readonly (readonly [string, string])[]): void => void found.params.push(...params),
    example: (reason: string, line: string): void => void (found.examples[reason] = line),
    event: (level: EventLevel, make: () => EventRow): void => {
      const event = make()
      if (event.level !== level) throw new Error(`an event of level ${event.level} came as ${level}`)
      found.events.push(event)
    },
  }
  const rules = compileRules({ ...defaultLayer, ...settings })
  const stepFields = rules.stepFields[rules.defaultPrefix]!
  const presets = preset === 'off' ? null : new Presets({ preset, stepFields, say: () => {} })
  const options = { rules, wrappers, presets, ...(filter === undefined ? {} : { filter }) }
  const stream = new LineReader(options, out, counters).stream(() => RECEIVED_AT, isParsed ? () => {} : null)
  for (const piece of cut(typeof input === 'string' ? Buffer.from(input) : input)) stream.push(piece)
  stream.end()
  COUNTERS.forEach((name, i) => {
    if (counters.values[i] !== 0) found.counts[name] = counters.values[i]!
  })
  return found
}

/** `[key, step, value]` of each point. */
export const triples = ({ points }: Extracted): [string, number, number][] =>
  points.map(({ key, step, value }) => [key, step, value])
