/**
 * A trainer that writes lines at a steady rate, each with the time of its writing.
 *
 *     node bench/load/trainer.ts LINES_PER_SECOND SECONDS
 */
import { writeSync } from 'node:fs'
import { lineAt } from './lines.ts'

const [rate, seconds] = process.argv.slice(2).map(Number)
const total = rate! * seconds!
const from = performance.now()
let written = 0

const writeDue = (): void => {
  const due = Math.min(total, Math.floor(((performance.now() - from) * rate!) / 1000))
  let text = ''
  for (; written < due; written += 1) text += lineAt(written, Date.now())
  for (let bytes = Buffer.from(text); bytes.length > 0;) bytes = bytes.subarray(writeSync(1, bytes))
  if (written === total) clearInterval(timer)
}
const timer = setInterval(writeDue, 1)
