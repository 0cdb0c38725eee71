/**
 * OTLP/HTTP: spans per second of processor time of a server that decodes and extracts as Spanbridge does, beside a bare
 * node:http server that decodes with protobufjs and does nothing else. Same bodies, same client, in turns.
 *
 *     node bench/otlp-http.ts --rounds 8
 *     node bench/otlp-http.ts --json       one line with the ratio of each round
 */
import { fork, type ChildProcess } from 'node:child_process'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Pool } from 'undici'
import { letGo } from '../src/channel/memory.ts'
import { SpanColumns } from '../src/otlp/columns.ts'
import { listenOtlpHttp } from '../src/receivers/otlp-http/server.ts'
import { layerOf } from './otlp-layer.ts'
import { NUMBERS_A_SPAN, requestOf } from './spans.ts'

const REQUESTS = 400
const SPANS = 512
const CONNECTIONS = 4
/** The first rounds warm up. */
const WARM_UP = 2

/** What the server has spent and seen since it was last asked. */
interface Spent {
  cpuSeconds: number
  requests: number
}

async function serveOurs(): Promise<number> {
  const columns = new SpanColumns()
  const layer = layerOf()
  const server = await listenOtlpHttp({
    host: '127.0.0.1',
    port: 0,
    token: null,
    take: async (_path, body) => {
      seen += 1
      columns.read(body)
      if (layer.take(columns) !== SPANS * NUMBERS_A_SPAN) throw new Error('not all numbers were taken')
      // As a commit does with what the journal has.
      letGo(body)
      return null
    },
    hasComeBack: () => false,
    onFault: (error) => console.error(error),
  })
  return Number(server.address.split(':')[1])
}

async function serveTheirs(): Promise<number> {
  const root = createRequire(import.meta.url)('otlp-transformer-oracle/build/src/generated/root.js')
  const { ExportTraceServiceRequest } = root.opentelemetry.proto.collector.trace.v1
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      seen += 1
      ExportTraceServiceRequest.decode(Buffer.concat(chunks))
      response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

let seen = 0

async function serve(which: string): Promise<void> {
  process.send!({ port: which === 'ours' ? await serveOurs() : await serveTheirs() })
  let before = process.cpuUsage()
  process.on('message', () => {
    const { user, system } = process.cpuUsage(before)
    process.send!({ cpuSeconds: (user + system) / 1e6, requests: seen } satisfies Spent)
    before = process.cpuUsage()
    seen = 0
  })
  process.once('disconnect', () => process.exit())
}

const heard = <T>(child: ChildProcess): Promise<T> =>
  new Promise((resolve) => child.once('message', (it) => resolve(it as T)))

async function start(which: string): Promise<{ child: ChildProcess; pool: Pool }> {
  // The bridge runs with the flag of `bin/spanbridge`.
  const execArgv = which === 'ours' ? ['--max-semi-space-size=1'] : []
  const child = fork(fileURLToPath(import.meta.url), [which], { execArgv })
  const { port } = await heard<{ port: number }>(child)
  return { child, pool: new Pool(`http://127.0.0.1:${port}`, { connections: CONNECTIONS }) }
}

/** Spans per second of the server's processor time. */
async function round(
  { child, pool }: Awaited<ReturnType<typeof start>>,
  bodies: readonly Uint8Array[],
): Promise<number> {
  child.send('spent')
  await heard<Spent>(child)
  let next = 0
  const send = async (): Promise<void> => {
    while (next < REQUESTS) {
      const body = bodies[next++ % bodies.length]!
      const headers = { 'content-type': 'application/x-protobuf' }
      const answer = await pool.request({ path: '/v1/traces', method: 'POST', headers, body })
      await answer.body.dump()
      if (answer.statusCode !== 200) throw new Error(`status ${answer.statusCode}`)
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, send))
  child.send('spent')
  const { cpuSeconds, requests } = await heard<Spent>(child)
  if (requests !== REQUESTS) throw new Error(`${requests} of ${REQUESTS} requests were taken`)
  return (SPANS * REQUESTS) / cpuSeconds
}

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!

async function main(): Promise<void> {
  const { values: flags } = parseArgs({
    options: { rounds: { type: 'string', default: '8' }, json: { type: 'boolean', default: false } },
  })
  // Ids that never come again: a span that does is not taken twice.
  const bodiesOf = (): Uint8Array[] => Array.from({ length: REQUESTS }, () => requestOf(SPANS))
  const [ours, theirs] = [await start('ours'), await start('theirs')]
  const rates: { ours: number; theirs: number }[] = []
  for (let i = 0; i < Number(flags.rounds) + WARM_UP; i += 1) {
    const bodies = bodiesOf()
    if (i % 2 === 0) rates.push({ ours: await round(ours, bodies), theirs: await round(theirs, bodies) })
    else {
      const first = await round(theirs, bodies)
      rates.push({ theirs: first, ours: await round(ours, bodies) })
    }
  }
  const measured = rates.slice(WARM_UP)
  const ratios = measured.map(({ ours, theirs }) => ours / theirs)
  console.log(
    JSON.stringify(
      flags.json
        ? { rows: { 'otlp-http': ratios } }
        : {
            spansPerCpuSecond: Math.round(median(measured.map(({ ours }) => ours))),
            protobufjsPerCpuSecond: Math.round(median(measured.map(({ theirs }) => theirs))),
            ratio: Number(median(ratios).toFixed(2)),
          },
    ),
  )
  await Promise.all([ours.pool.close(), theirs.pool.close()])
  ours.child.disconnect()
  theirs.child.disconnect()
}

await (process.send === undefined ? main() : serve(process.argv[2]!))
