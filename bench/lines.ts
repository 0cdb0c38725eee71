import { createWriteStream } from 'node:fs'
import { once } from 'node:events'

const NAMES = ['policy_loss', 'value_loss', 'entropy', 'approx_kl', 'clip_fraction', 'grad_norm', 'learning_rate']

/**
 * Writes `count` tracing lines of about 300 bytes with 7 metrics and a step. No value repeats: V8 caches the text of
 * numbers that it has seen.
 */
export async function writeLines(path: string, count: number): Promise<void> {
  const out = createWriteStream(path)
  const from = Date.UTC(2026, 0)
  for (let i = 0; i < count; i += 1) {
    const fields = NAMES.map((name) => `"${name}":${Math.random() * 10}`).join(',')
    const time = new Date(from + i * 3).toISOString().replace('Z', `${String(i % 1000).padStart(3, '0')}Z`)
    const line = `{"timestamp":"${time}","level":"INFO","fields":{"message":"update done","category":"TRAINER","step":${i},${fields}},"target":"trainer"}\n`
    if (!out.write(line)) await once(out, 'drain')
  }
  out.end()
  await once(out, 'finish')
}
