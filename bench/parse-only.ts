/** The baseline: bare `JSON.parse` of the lines of a file, split beforehand. Prints lines per second of parsing alone. */
import { readFileSync } from 'node:fs'

const lines = readFileSync(process.argv[2]!, 'utf8').trimEnd().split('\n')
const from = performance.now()
let sum = 0
for (const line of lines) sum += (JSON.parse(line) as { fields: { step: number } }).fields.step
const seconds = (performance.now() - from) / 1000
console.log(JSON.stringify({ linesPerSecond: lines.length / seconds, sum }))
