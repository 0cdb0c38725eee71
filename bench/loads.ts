/**
 * Loads for the benchmarks of lines. No value or step repeats: V8 caches the text of numbers that it has seen, and a
 * benchmark that repeats them measures that cache.
 */
import { createWriteStream } from 'node:fs'
import { once } from 'node:events'

const NAMES = ['policy_loss', 'value_loss', 'entropy', 'approx_kl', 'clip_fraction', 'grad_norm', 'learning_rate']
const CATEGORIES = ['TRAINER', 'ACTOR', 'EVALUATOR', 'MISC']
const FROM = Date.UTC(2026, 0)

const stampOf = (i: number): string =>
  new Date(FROM + i * 3).toISOString().replace('Z', `${String(i % 1000).padStart(3, '0')}Z`)

/** Seven values and a step on one line of about 300 bytes, as `tracing-subscriber` writes it. `keys`: different keys in all. */
export function eventLine(i: number, keys = 10): string {
  // The layouts take turns, as the call sites of a trainer do.
  const layout = i % Math.max(1, Math.floor(keys / NAMES.length))
  const suffix = keys <= 10 ? '' : `_${layout}`
  const fields = NAMES.map((name) => `"${name}${suffix}":${Math.random() * 10}`).join(',')
  const category = keys <= 10 ? 'TRAINER' : CATEGORIES[layout % CATEGORIES.length]!
  return `{"timestamp":"${stampOf(i)}","level":"INFO","fields":{"message":"update done","category":"${category}","step":${i},${fields}},"target":"trainer"}`
}

/** Lines of a log that are no events: what frameworks print between them. */
const textLine = (i: number): string =>
  `${stampOf(i)} [rank0] trainer.rollout: collected ${1000 + (i % 977)} transitions in ${(Math.random() * 3).toFixed(3)}s, queue depth ${i % 64}, next sync in ${(Math.random() * 9).toFixed(2)}s; worker pool is healthy and the replay buffer holds enough of them`

/** One line in ten is an event, nine cannot be. */
export const mixedLine = (i: number): string => (i % 10 === 0 ? eventLine(i) : textLine(i))

/** Numbers that the points of an event line come to. */
export const POINTS_PER_LINE = NAMES.length

/** Writes lines `from` to `to` of a load to a file. */
export async function writeLoad(path: string, count: number, line: (i: number) => string = eventLine): Promise<void> {
  const out = createWriteStream(path, { highWaterMark: 1 << 20 })
  let text = ''
  for (let i = 0; i < count; i += 1) {
    text += `${line(i)}\n`
    if (text.length < 1 << 20) continue
    if (!out.write(text)) await once(out, 'drain')
    text = ''
  }
  out.end(text)
  await once(out, 'finish')
}

/** The same in memory, as the chunks in which a pipe would bring it. */
export function chunksOf(lines: readonly string[], bytes = 65_536): Buffer[] {
  const all = Buffer.from(`${lines.join('\n')}\n`)
  return Array.from({ length: Math.ceil(all.length / bytes) }, (_, i) => all.subarray(i * bytes, (i + 1) * bytes))
}
