import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, inject, it, onTestFinished } from 'vitest'
import { tracesFromJson } from '../../src/otlp/json.ts'
import { decode, flat, TraceRequest, type Json } from '../otlp/oracle.ts'
import type { RunStatus } from '../../src/journal/status.ts'
import { expectConserved } from '../support/account.ts'
import { expectedOf, recordings, requestsOf } from '../support/otlp.ts'
import { FakeMlflow } from '../support/fake-mlflow.ts'
import { MlflowApi } from '../support/mlflow.ts'
import { collector, daemon, ended, post, traceOf } from '../support/otlp-daemon.ts'
import { SPANBRIDGE, spanbridge, start, startBridge, statusOf, temporaryDirectory } from '../support/spanbridge.ts'

const sorted = (spans: readonly Json[]): string[] => spans.map((span) => JSON.stringify(span)).sort()

describe('spans that come by OTLP', () => {
  it('leave as they came, field for field, and every number of every recording is accounted for', async () => {
    const sink = await collector()
    const { running, stateDir, url } = await daemon(['--otlp-endpoint', sink.url])
    const sent: Json[] = []
    for (const name of recordings) {
      for (const request of requestsOf(name)) {
        expect(await post(url, request), name).toBe(200)
        if (request.path !== '/v1/traces') continue
        const isJson = request.contentType.startsWith('application/json')
        sent.push(...flat(decode(TraceRequest, isJson ? tracesFromJson(request.body.toString()) : request.body)))
      }
    }
    const { code, stderr } = await ended(running)
    expect(code, stderr).toBe(0)
    const runs = await statusOf(stateDir)
    for (const run of runs) expectConserved(run)
    const sum = (of: (run: RunStatus) => number): number => runs.reduce((total, run) => total + of(run), 0)
    // Recordings of one program in several encodings have the same ids: taken once.
    expect(sum(({ spanAccount }) => spanAccount.received)).toBe(sent.length)
    const known = new Set<string>()
    const first = sent.filter(({ span }) => {
      const id = JSON.stringify([span.traceId, span.spanId])
      return known.has(id) ? false : known.add(id)
    })
    expect(sum(({ journaled }) => journaled.spans)).toBe(first.length)
    expect(sorted(sink.spans())).toEqual(sorted(first))
    const spansOf = ({ destinations }: RunStatus) => destinations.find(({ exporter }) => exporter === 'otlp')?.spans
    expect(sum((run) => spansOf(run)?.delivered ?? 0)).toBe(first.length)
    expect(sum((run) => spansOf(run)?.pending ?? 0)).toBe(0)
    // Programs that say different things of themselves share no run.
    expect(runs.length).toBeGreaterThan(3)
    expect(new Set(runs.map(({ identity }) => identity)).size).toBe(runs.length)
    expect(expectedOf(recordings[0]!)).toBeDefined()
  })

  it('that were answered 200 are in the journal after kill -9, and the next start delivers them once', async () => {
    const sink = await collector(() => 503)
    const stateDir = temporaryDirectory()
    const { running, url } = await daemon(['--otlp-endpoint', sink.url], stateDir)
    for (let i = 1; i <= 20; i += 1) expect(await post(url, traceOf(i, [[1, 0, { step: i, loss: 0.5 }]]))).toBe(200)
    running.child.kill('SIGKILL')
    await running.finished
    const [killed] = await statusOf(stateDir)
    expect(killed).toMatchObject({ journaled: { spans: 20, points: 40 }, status: 'interrupted' })
    sink.answer = () => 200
    const next = await daemon(['--otlp-endpoint', sink.url], stateDir)
    await next.running.seen('of the earlier process is delivered')
    await ended(next.running)
    expect(sink.spans().length).toBe(20)
  })

  it('go whole to another destination, though the one before has them', async () => {
    const [first, second, fake] = [await collector(), await collector(), await FakeMlflow.start()]
    const { running, stateDir, url } = await daemon(['--otlp-endpoint', first.url])
    for (let i = 1; i <= 20; i += 1) await post(url, traceOf(i, [[1, 0, { step: i, loss: 0.5 }]]))
    expect((await ended(running)).code).toBe(0)
    const sync = async (...to: string[]) => (await spanbridge(['sync', 'test', '--state-dir', stateDir, ...to])).stderr
    expect(await sync('--otlp-endpoint', second.url)).toContain('20 spans delivered')
    expect(await sync('--mlflow-tracking-uri', fake.url)).toContain('20 spans delivered')
    expect([first.spans().length, second.spans().length]).toEqual([20, 20])
    const sent = fake.of('/v1/traces').filter(({ body }) => body.length > 100)
    expect(sent.length).toBeGreaterThan(0)
    expect(sent[0]!.headers['x-mlflow-run-id']).toBe('run0')
    await sync('--otlp-endpoint', first.url)
    expect(first.spans().length).toBe(20)
  })

  it('wait while the sink is away, are sent again unchanged when an answer was lost, and then counted as resent', async () => {
    const sink = await collector((n) => (n === 0 ? 0 : 200))
    sink.answer = () => 0
    const { running, stateDir, url } = await daemon(['--otlp-endpoint', sink.url])
    for (let i = 1; i <= 100; i += 1) expect(await post(url, traceOf(i, [[1, 0, { step: i, loss: 0.5 }]]))).toBe(200)
    await running.seen('closed the connection before it answered')
    sink.answer = () => 200
    const { code, stderr } = await ended(running)
    expect(code, stderr).toBe(0)
    expect(sink.spans().length).toBe(100)
    const [run] = await statusOf(stateDir)
    const { spans } = run!.destinations[0]!
    expect(spans).toMatchObject({ delivered: 100, pending: 0 })
    expect(spans!.resent).toBeGreaterThan(0)
  })

  it('of which a collector refuses one are all delivered but that one', async () => {
    const sink = await collector()
    const isPoison = (body: Buffer): boolean => body.includes('poison')
    const server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const body = Buffer.concat(chunks)
        if (!isPoison(body)) sink.requests.push({ body, headers: request.headers })
        response.writeHead(isPoison(body) ? 400 : 200).end(isPoison(body) ? 'bad span' : '')
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const { running, stateDir, url } = await daemon([
      '--otlp-endpoint',
      `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ])
    for (let i = 1; i <= 20; i += 1)
      expect(await post(url, traceOf(i, [[1, 0, i === 7 ? { step: i, poison: 1 } : { step: i, loss: 1 }]]))).toBe(200)
    await ended(running)
    expect(sink.spans().filter(({ span }) => span !== undefined).length).toBe(19)
    const [run] = await statusOf(stateDir)
    expect(run!.destinations[0]!.spans).toMatchObject({ delivered: 19, rejected: 1, pending: 0 })
  })
})

describe('a daemon without standard input', () => {
  it('receives OTLP until a signal ends its run, which is finished then', async () => {
    const sink = await collector()
    const stateDir = temporaryDirectory()
    const args = `--state-dir ${stateDir} --otlp-http-listen 127.0.0.1:0 --otlp-endpoint ${sink.url}`
    const running = start('sh', ['-c', `exec '${SPANBRIDGE}' ${args} </dev/null`])
    await running.seen('receiving OTLP at')
    const [, url] = /receiving OTLP at (http:\S+);/.exec(Buffer.concat(running.output.stderr).toString())!
    expect(await post(url!, traceOf(1, [[1, 0, { step: 1, a: 1.5 }]]))).toBe(200)
    running.child.kill('SIGTERM')
    const { code, stderr } = await running.finished
    expect(code, stderr).toBe(0)
    expect(sink.spans().length).toBe(1)
    expect((await statusOf(stateDir))[0]).toMatchObject({ source: 'network', status: 'finished', points: 2 })
  })
})

describe('steps', () => {
  it('come from parents in the same request, an earlier one, or a later one; without any, numbers are no_step', async () => {
    const { running, stateDir, url } = await daemon([])
    expect(
      await post(
        url,
        traceOf(1, [
          [2, 1, { a: 1.5 }],
          [1, 0, { step: 10 }],
        ]),
      ),
    ).toBe(200)
    expect(await post(url, traceOf(1, [[3, 2, { b: 1.5 }]]))).toBe(200)
    expect(await post(url, traceOf(2, [[2, 1, { c: 1.5 }]]))).toBe(200)
    const [waiting] = await statusOf(stateDir)
    expect(waiting).toMatchObject({ waiting: 2, points: 5 })
    expectConserved(waiting!)
    expect(await post(url, traceOf(2, [[1, 0, { step: 20 }]]))).toBe(200)
    // A circle of parents, and a parent that never comes.
    expect(
      await post(
        url,
        traceOf(3, [
          [1, 2, { d: 1.5 }],
          [2, 1, { e: 1.5 }],
        ]),
      ),
    ).toBe(200)
    expect(await post(url, traceOf(4, [[2, 9, { f: 1.5 }]]))).toBe(200)
    const { code } = await ended(running)
    const [run] = await statusOf(stateDir)
    expectConserved(run!)
    expect([code, run!.points, run!.waiting, run!.skipped['no_step']]).toEqual([0, 8, 0, 6])
  })

  it('are not taken twice of a span that comes again', async () => {
    const { running, stateDir, url } = await daemon([])
    for (let times = 0; times < 3; times += 1)
      expect(await post(url, traceOf(1, [[1, 0, { step: 1, a: 1.5 }]]))).toBe(200)
    await ended(running)
    const [run] = await statusOf(stateDir)
    expect(run).toMatchObject({ points: 2, spanAccount: { received: 3, duplicate: 2 }, journaled: { spans: 1 } })
  })
})

describe('bad input', () => {
  it('is refused whole, and others go on', async () => {
    const { running, stateDir, url } = await daemon([])
    const good = traceOf(1, [[1, 0, { step: 1, a: 1.5 }]])
    expect(await post(url, { ...good, sent: good.sent.subarray(0, -3) })).toBe(400)
    expect(
      await post(url, { ...good, contentType: 'application/json', sent: Buffer.from('{"resourceSpans":7}') }),
    ).toBe(400)
    expect(await post(url, good)).toBe(200)
    expect(
      (await fetch(`${url}/v1/metrics`, { method: 'POST', headers: { 'content-type': 'application/x-protobuf' } }))
        .status,
    ).toBe(200)
    const { code, stderr } = await ended(running)
    expect([code, stderr]).toEqual([0, expect.stringContaining('metrics came by OTLP')])
    expect((await statusOf(stateDir))[0]!.points).toBe(2)
  })
})

describe('a destination that is this receiver itself', () => {
  it('is an error from a flag, and a notice from the environment', async () => {
    const own = 'http://127.0.0.1:14318'
    const args = ['--state-dir', temporaryDirectory(), '--otlp-http-listen', '127.0.0.1:14318']
    const flagged = startBridge([...args, '--otlp-endpoint', own])
    flagged.child.stdin.end('passes\n')
    const refused = await flagged.finished
    expect([refused.code, refused.stdout.toString()]).toEqual([2, 'passes\n'])
    expect(refused.stderr).toContain(
      "--otlp-endpoint: 'http://127.0.0.1:14318' is where this Spanbridge receives OTLP itself",
    )
    const noticed = startBridge(args, { env: { OTEL_EXPORTER_OTLP_ENDPOINT: own } })
    noticed.child.stdin.end('{"step":1,"a":1}\n')
    const { code, stderr } = await noticed.finished
    expect([code, stderr]).toEqual([0, expect.stringContaining('it is not taken for a destination of spans')])
  })
})

it('exec points the SDK of its command at itself, and what was set there becomes the destination', async () => {
  const sink = await collector()
  const command = ['sh', '-c', 'env | grep ^OTEL_ | sort']
  const running = startBridge(['exec', '--state-dir', temporaryDirectory(), '--', ...command], {
    env: {
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${sink.url}/v1/traces`,
      OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'grpc',
      OTEL_RESOURCE_ATTRIBUTES: 'team=rl',
    },
  })
  const { stdout } = await running.finished
  expect(stdout.toString()).toMatch(
    /^OTEL_EXPORTER_OTLP_ENDPOINT=http:\/\/127\.0\.0\.1:\d+\nOTEL_EXPORTER_OTLP_PROTOCOL=http\/protobuf\nOTEL_RESOURCE_ATTRIBUTES=team=rl,spanbridge\.run=[0-9A-Z]{26}\n$/,
  )
})

it('more than a hundred traces at once are all linked to the run in MLflow', async () => {
  const url = inject('mlflowUrl')
  const { running, stateDir, url: receiver } = await daemon(['--mlflow-tracking-uri', url])
  const requests = Array.from({ length: 250 }, (_, i) => traceOf(1000 + i, [[1, 0, { step: i, loss: 0.5 }]]))
  for (const request of requests) expect(await post(receiver, request)).toBe(200)
  const { code, stderr } = await ended(running)
  expect(code, stderr).toBe(0)
  const [run] = await statusOf(stateDir)
  expect(run!.destinations[1]!.spans).toMatchObject({ delivered: 250, pending: 0 })
  expect(await new MlflowApi(url).countTraces(run!.destinations[0]!.runId!)).toBe(250)
})

const PYTHON = `
import time
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
tracer = provider.get_tracer("trainer")
with tracer.start_as_current_span("training"):
    for step in range(1, 11):
        with tracer.start_as_current_span("update", attributes={"category": "TRAINER", "step": step, "loss": 1 / step}):
            with tracer.start_as_current_span("rollout") as span:
                span.add_event("rollout finished", {"category": "ACTOR", "mean_return": step * 10.0})
provider.shutdown()
`

const JAVASCRIPT = `
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base'
const provider = new BasicTracerProvider({ spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())] })
const tracer = provider.getTracer('trainer')
for (let step = 1; step <= 10; step += 1) {
  const span = tracer.startSpan('update', { attributes: { category: 'TRAINER', step, loss: 1 / step } })
  span.addEvent('rollout finished', { category: 'ACTOR', mean_return: step * 10 })
  span.end()
}
await provider.shutdown()
`

describe('a live program with an official SDK', () => {
  const programs: [string, string[], number][] = [
    ['Python', [new URL('../../.venv/bin/python', import.meta.url).pathname, '-c', PYTHON], 21],
    ['JavaScript', [process.execPath, '--input-type=module', '-e', JAVASCRIPT], 10],
  ]
  it.each(programs)(
    'in %s has its timeline in MLflow, linked to the run, and its numbers in the charts',
    async (name, command, spans) => {
      const url = inject('mlflowUrl')
      const stateDir = temporaryDirectory()
      const running = startBridge(['exec', '--state-dir', stateDir, '--mlflow-tracking-uri', url, '--', ...command])
      const { code, stderr } = await running.finished
      expect(code, stderr).toBe(0)
      const [run] = await statusOf(stateDir)
      expectConserved(run!)
      expect(run!.journaled.spans).toBe(spans)
      const { runId } = run!.destinations[0]!
      const api = new MlflowApi(url)
      const steps = (await api.history(runId!, 'trainer/loss')).map(({ step }) => step).sort((a, b) => a - b)
      expect(steps).toEqual(Array.from({ length: 10 }, (_, i) => i + 1))
      expect((await api.history(runId!, 'actor/mean_return')).length).toBe(10)
      expect((await api.history(runId!, 'trainer/span/update/duration_ms')).length).toBe(10)
      const traces = await api.traces(runId!)
      const found = traces.flatMap((trace) => trace.spans)
      expect(found.length, name).toBe(spans)
      expect(new Set(found.map((span) => span.name))).toEqual(
        new Set(name === 'Python' ? ['training', 'update', 'rollout'] : ['update']),
      )
      const rollout = found.find((span) => span.name === 'rollout')
      if (rollout !== undefined) {
        const parent = found.find((span) => span.span_id === rollout.parent_span_id)
        expect(parent!.name).toBe('update')
      }
    },
  )
})
