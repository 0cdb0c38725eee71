/** Lines for somebody who looks at the page. */
import { createWriteStream } from 'node:fs'
import { once } from 'node:events'

/** Where the spike of a long run is, and what it is there. */
export const SPIKE = { step: 777_777, value: 1e6 } as const

const FROM = Date.UTC(2026, 0)

/** A line whose `shown` is its place in the log, which a page writes out with all its digits, beside nine numbers more. */
export function shownLine(i: number, timeMs: number): string {
  const others = Array.from({ length: 9 }, (_, j) => `"other_${j}":${Math.random()}`).join(',')
  const time = new Date(timeMs).toISOString()
  return `{"timestamp":"${time}","category":"TRAINER","step":${i},"shown":${i},${others}}\n`
}

/** What a page showed, and when, UTC ms. */
export type Read = [at: number, text: string]

/** Of each line, the time from when it was written until it or one behind it was read. */
export function agesOf(read: readonly Read[], written: readonly number[]): number[] {
  const ages: number[] = []
  let next = 1
  for (const [at, text] of read)
    for (const shown = Number(text.replaceAll(',', '')); next <= shown; next += 1) ages.push(at - written[next]!)
  if (next !== written.length) throw new Error(`expected ${written.length - 1} values on the page, got ${next - 1}`)
  return ages
}

/** One number in each line: noise, but for the spike. */
const spikeLine = (step: number): string => {
  const loss = step === SPIKE.step ? SPIKE.value : Math.random()
  return `{"timestamp":"${new Date(FROM + step).toISOString()}","category":"TRAINER","step":${step},"loss":${loss}}\n`
}

/** So many metrics in each line. */
function wideLine(step: number, metrics: number): string {
  const numbers = Array.from(
    { length: metrics },
    (_, j) => `"metric_${j}":${Math.sin(step / (50 + j)) + Math.random()}`,
  )
  const time = new Date(FROM + step * 100).toISOString()
  return `{"timestamp":"${time}","category":"TRAINER","step":${step},${numbers.join(',')}}\n`
}

async function writeLog(file: string, lines: number, lineOf: (step: number) => string): Promise<void> {
  const out = createWriteStream(file)
  for (let step = 1; step <= lines;) {
    let text = ''
    for (const end = Math.min(lines, step + 499); step <= end; step += 1) text += lineOf(step)
    if (!out.write(text)) await once(out, 'drain')
  }
  out.end()
  await once(out, 'finish')
}

/** A log of one metric with the spike in it. */
export const writeSpike = (file: string, points: number): Promise<void> => writeLog(file, points, spikeLine)

/** A log of many metrics. */
export const writeWide = (file: string, points: number, metrics: number): Promise<void> =>
  writeLog(file, points, (step) => wideLine(step, metrics))
