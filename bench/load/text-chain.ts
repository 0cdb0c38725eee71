/**
 * The least that delivering lines to MLflow can cost one thread: the bodies of `runs/log-batch` for lines of 10 numbers, none of
 * which came before, are put together as text and become bytes. Nothing is read or kept; with a URL they are posted there with
 * undici, one at a time, each put together while the one before is answered. Prints how many bytes there were.
 *
 *     node bench/load/text-chain.ts LINES [URL]
 */
import { Agent, request } from 'undici'

const lines = Number(process.argv[2])
const url = process.argv[3]
const NUMBERS = 10
const LINES_A_BODY = 100
const heads = Array.from({ length: NUMBERS }, (_, i) => `,{"key":"trainer/number_${i}","value":`)
const time = 1_772_366_400_000

function bodyFrom(first: number): Buffer {
  let body = '{"run_id":"0123456789abcdef0123456789abcdef","metrics":['
  for (let line = first; line < first + LINES_A_BODY; line += 1) {
    const tail = `,"timestamp":${time + line},"step":${line}}`
    for (let i = 0; i < NUMBERS; i += 1)
      body += (line === first && i === 0 ? heads[i]!.slice(1) : heads[i]!) + Math.random() * 10 + tail
  }
  return Buffer.from(`${body}]}`, 'latin1')
}

const dispatcher = new Agent()
const headers = { 'content-type': 'application/json' }

async function post(body: Buffer): Promise<void> {
  const answer = await request(`${url}/api/2.0/mlflow/runs/log-batch`, { method: 'POST', headers, body, dispatcher })
  await answer.body.dump()
}

let bytes = 0
let answered: Promise<unknown> = Promise.resolve()
for (let from = 0; from < lines; from += LINES_A_BODY) {
  const body = bodyFrom(from)
  bytes += body.length
  if (url === undefined) continue
  await answered
  answered = post(body)
  // It leaves in the next turn of the loop.
  await new Promise((resolve) => setImmediate(resolve))
}
await answered
await dispatcher.close()
console.log(bytes)
