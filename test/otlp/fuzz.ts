import { mutations } from './mutate.ts'

/** `node test/otlp/fuzz.ts 10000000 [seed]`: reads so many changed bodies; ends with an error at the first that harms. */
const count = Number(process.argv[2] ?? 1_000_000)
const seed = Number(process.argv[3] ?? 1)
const ROUND = 100_000

const from = performance.now()
let slowestMs = 0
for (let done = 0; done < count; done += ROUND) {
  const round = mutations(Math.min(ROUND, count - done), seed + done / ROUND)
  slowestMs = Math.max(slowestMs, round.slowestMs)
  const seconds = ((performance.now() - from) / 1000).toFixed(0)
  console.log(`${done + round.read + round.refused} inputs, ${seconds} s: ${JSON.stringify({ ...round, slowestMs })}`)
}
