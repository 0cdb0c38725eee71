/**
 * Lines as recorded from `tracing-subscriber`, multiplied: each recorded event keeps its shape, its numbers are new in every
 * line (V8 caches the text of numbers that it has seen), its step and time go on.
 *
 *     node bench/load/lines.ts FILE LINES [KEYS]    writes a file of them
 */
import { once } from 'node:events'
import { createWriteStream, readFileSync } from 'node:fs'

/** Numbers of a line that are no step: so many points it gives. */
export const NUMBERS = 10

/** What a trainer adds where a recorded event has fewer numbers. */
const MORE = ['approx_kl', 'explained_variance', 'advantage_mean', 'advantage_std', 'weight_norm', 'ratio_mean']
MORE.push('ratio_max', 'value_clip_fraction', 'td_error', 'target_kl')

const STEPS: ReadonlySet<string> = new Set(['timesteps', 'policy_version'])

interface Recorded {
  timestamp: string
  fields: Record<string, unknown>
  span?: unknown
  spans?: unknown
}

/** Events that a trainer logs over and over. */
const REPEATED: ReadonlySet<unknown> = new Set(['rollout finished', 'update finished', 'speed', 'evaluation finished'])

const path = new URL('../../test/fixtures/rust-lines/nested-default.jsonl', import.meta.url)
const recorded = readFileSync(path, 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as Recorded)
  .filter(({ fields }) => REPEATED.has(fields['message']))

/** A recorded event as text around the places where numbers stand. */
type Template = (step: number, time: string, suffix: string) => string

function templateOf(event: Recorded): Template {
  const fields = Object.entries(event.fields)
  const hasStep = fields.some(([name]) => STEPS.has(name))
  const numbers = fields.filter(([name, value]) => typeof value === 'number' && !STEPS.has(name)).length
  const texts = fields
    .filter(([, value]) => typeof value !== 'number')
    .map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)
  const named = fields
    .filter(([, value]) => typeof value === 'number')
    .map(([name, value]) => [name, value as number] as const)
  const all = [...named, ...MORE.slice(0, NUMBERS - numbers).map((name) => [name, 0.5] as const)]
  const head = `","level":"INFO","fields":{${texts.join(',')}${hasStep ? '' : ',"step":0'}`
  return (step, time, suffix) => {
    let line = `{"timestamp":"${time}${head}`
    for (const [name, value] of all) {
      if (STEPS.has(name)) line += `,"${name}":${step}`
      else if (Number.isInteger(value)) line += `,"${name}${suffix}":${Math.floor(Math.random() * 1e9)}`
      else
        line += `,"${name}${suffix}":${Math.random() * (value < 0 ? -1 : 1) * 2 ** Math.ceil(Math.log2(Math.abs(value)))}`
    }
    return `${line}},"target":"lines"}\n`
  }
}

const templates = recorded.map(templateOf)
/** Metric keys of all templates together, without a suffix. */
const KEYS_OF_ALL = 40

/** The `i`th line of a run; `groups`: how many sets of keys take turns. */
export function lineAt(i: number, timeMs: number, groups = 1): string {
  const time = new Date(timeMs).toISOString().replace('Z', `${String((i * 7) % 1000).padStart(3, '0')}Z`)
  return templates[i % templates.length]!(i, time, groups === 1 ? '' : `.${Math.floor(i / templates.length) % groups}`)
}

/** Writes a file of lines, with about `keys` metric keys in all. */
export async function writeLines(file: string, count: number, keys = KEYS_OF_ALL): Promise<void> {
  const out = createWriteStream(file)
  const from = Date.UTC(2026, 0)
  const groups = Math.max(1, Math.round(keys / KEYS_OF_ALL))
  for (let i = 0; i < count;) {
    let text = ''
    for (const end = Math.min(count, i + 500); i < end; i += 1) text += lineAt(i, from + i * 3, groups)
    if (!out.write(text)) await once(out, 'drain')
  }
  out.end()
  await once(out, 'finish')
}

if (process.argv[1] === import.meta.filename) {
  const [file, count, keys] = process.argv.slice(2)
  await writeLines(file!, Number(count), keys === undefined ? undefined : Number(keys))
}
