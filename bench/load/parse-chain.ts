/**
 * The least that reading lines can cost: standard input is cut into lines, each is parsed, and its numbers go into columns.
 * Nothing is checked, kept or sent. Prints how many numbers there were.
 */
import { readSync } from 'node:fs'

const CAPACITY = 1 << 16
const value = new Float64Array(CAPACITY)
const step = new Float64Array(CAPACITY)
const series = new Uint32Array(CAPACITY)
const ids = new Map<string, number>()
let count = 0
const decoder = new TextDecoder()
const piece = Buffer.allocUnsafe(64 << 10)
let rest = ''

function take(line: string): void {
  const { fields } = JSON.parse(line) as { fields: Record<string, unknown> }
  const at = Number(fields['timesteps'] ?? fields['policy_version'])
  for (const name in fields) {
    const number = fields[name]
    if (typeof number !== 'number' || name === 'timesteps' || name === 'policy_version') continue
    let id = ids.get(name)
    if (id === undefined) ids.set(name, (id = ids.size))
    const slot = count++ & (CAPACITY - 1)
    value[slot] = number
    step[slot] = at
    series[slot] = id
  }
}

for (;;) {
  const bytes = readSync(0, piece)
  if (bytes === 0) break
  const lines = (rest + decoder.decode(piece.subarray(0, bytes), { stream: true })).split('\n')
  rest = lines.pop()!
  for (const line of lines) take(line)
}
console.log(count)
