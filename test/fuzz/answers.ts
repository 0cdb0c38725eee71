import { Dispatcher } from 'undici'
import { readFlags } from '../../src/config/flags.ts'
import { loadSettings } from '../../src/config/load.ts'
import type { Failure, PointBatch, RunToOpen } from '../../src/exporters/exporter.ts'
import { createMlflow } from '../../src/exporters/mlflow/index.ts'
import { createOtlp } from '../../src/exporters/otlp/index.ts'
import { framed } from '../../src/otlp/span-blocks.ts'
import { Via } from '../../src/otlp/via.ts'
import type { Random } from '../simulation/random.ts'
import { runToOpen } from '../support/run-to-open.ts'
import { mutate, mutateJson } from './mutate.ts'
import { law, type Outcome, type Target } from './target.ts'

/** Answers every request with the same. */
class Answering extends Dispatcher {
  readonly #status: number
  readonly #headers: Record<string, string>
  readonly #body: Buffer

  constructor(status: number, headers: Record<string, string>, body: Buffer) {
    super()
    this.#status = status
    this.#headers = headers
    this.#body = body
  }

  override dispatch(_options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const controller = {
      aborted: false,
      paused: false,
      reason: null,
      rawHeaders: [],
      rawTrailers: [],
      abort: () => {},
      pause: () => {},
      resume: () => {},
    }
    handler.onRequestStart?.(controller, {})
    handler.onResponseStart?.(controller, this.#status, this.#headers)
    handler.onResponseData?.(controller, this.#body)
    handler.onResponseEnd?.(controller, {})
    return true
  }

  override close(): Promise<void> {
    return Promise.resolve()
  }

  override destroy(): Promise<void> {
    return Promise.resolve()
  }
}

const STATUSES = [200, 200, 200, 200, 200, 200, 400, 401, 403, 404, 413, 429, 500, 501, 502, 302] as const

/** An answer as bytes: the place of its status, its Retry-After up to a newline, the body. */
function answerOf(input: Buffer): Answering {
  const newline = Math.max(input.indexOf('\n'), 1)
  const status = STATUSES[(input[0] ?? 0) % STATUSES.length]!
  const type = (input[0] ?? 0) < 128 ? 'application/json' : 'application/x-protobuf'
  const headers = {
    'content-type': type,
    'retry-after': input.toString('latin1', 1, newline),
    location: 'http://a:b@c/',
  }
  return new Answering(status, headers, input.subarray(newline + 1))
}

const MLFLOW = [
  {
    run: {
      info: {
        run_id: 'r1',
        experiment_id: '7',
        status: 'RUNNING',
        lifecycle_stage: 'active',
        end_time: 1_700_000_000_000,
      },
      data: {
        metrics: [
          { key: 'trainer/loss', value: 0.5, timestamp: 1_700_000_000_000, step: 7 },
          { key: 'trainer/lr', value: 'NaN', timestamp: '1700000000000', step: '8' },
        ],
        params: [{ key: 'lr', value: '3e-4' }],
        tags: [{ key: 'spanbridge.run', value: '01TEST' }],
      },
    },
  },
  {
    metrics: [{ key: 'trainer/loss', value: 0.5, timestamp: 1_700_000_000_000, step: 7, run_id: 'r1' }],
    next_page_token: 'x',
  },
  { error_code: 'INVALID_PARAMETER_VALUE', message: "Invalid value 7 for parameter 'metrics[3].name' supplied" },
  { error_code: 'RESOURCE_DOES_NOT_EXIST', message: 'No such run' },
  { runs: [{ info: { run_id: 'r1' } }], experiment: { experiment_id: '7', lifecycle_stage: 'deleted' } },
  { traces: [{ spans: [{ trace_id: 'AAAAAAAAAAAAAAAAAAAAAA==', span_id: 'AAAAAAAAAAA=' }] }] },
].map((json) => JSON.stringify(json))

const OTHERS = [
  '<html><body><style>a{}</style>502 Bad Gateway</body></html>',
  '',
  '3.14.0',
  '{"partialSuccess":{"rejectedSpans":"1"}}',
]
const WAITS = ['', '7', '99999999999999999999', 'Wed, 21 Oct 2026 07:28:00 GMT', '-1', 'soon']

function answer(random: Random): Buffer {
  const text = random.chance(0.4) ? MLFLOW[0]! : random.chance(0.9) ? random.of(MLFLOW) : random.of(OTHERS)
  const changed = Buffer.from(random.chance(0.7) ? mutateJson(text, random) : text)
  const body = random.chance(0.4) ? mutate(changed, random, changed) : changed
  return Buffer.concat([
    Buffer.from([random.chance(0.6) ? 0 : random.whole(0, 255)]),
    Buffer.from(`${random.of(WAITS)}\n`),
    body,
  ])
}

const settings = loadSettings(
  readFlags(['--mlflow-tracking-uri', 'http://me:password@127.0.0.1:1'], false),
  {},
).settings
const otlpSettings = loadSettings(readFlags(['--otlp-endpoint', 'http://127.0.0.1:1'], false), {}).settings

const batch: PointBatch = {
  kind: 'points',
  first: 1,
  count: 1,
  value: Float64Array.of(0.5),
  step: Float64Array.of(7),
  time: Float64Array.of(1_700_000_000_000),
  series: Uint32Array.of(0),
  keyOf: () => 'trainer/loss',
}

const never = new AbortController().signal

type Result = Failure | { kind: string }

function check(...results: readonly Result[]): Outcome {
  for (const result of results) {
    law(
      ['ok', 'retry', 'unanswered', 'drop', 'stored', 'missing', 'unknown'].includes(result.kind),
      'an answer means something',
    )
    if (!('error' in result)) continue
    law(
      !/Cannot read|is not a|undefined/.test(result.error.message) || !(result.error instanceof TypeError),
      'no fault of ours',
    )
    law(!result.error.message.includes('password'), 'no word tells the password')
    if ('afterMs' in result && result.afterMs !== undefined) law(result.afterMs >= 0, 'nobody waits less than no time')
  }
  return results[0]?.kind === 'ok' ? 'read' : 'refused'
}

const mlflow: Target = {
  name: 'mlflow-answer',
  share: 80,
  make: answer,
  read: async (input) => {
    const exporter = createMlflow({ settings, dispatcher: answerOf(input) })
    const run: RunToOpen = { ...runToOpen, target: exporter.target, knownId: 'r1', knownMade: true, reopen: true }
    const opened = await exporter.openRun(run, never)
    if (opened.kind === 'ok')
      for (const [key, step] of opened.heights ?? [])
        law(typeof key === 'string' && Number.isFinite(step), 'a height is the step of a metric')
    const reader = exporter.readBack!.run!
    const stored = await reader.run('r1', never)
    const page = await reader.points('r1', 'trainer/loss', null, never)
    if (page.kind === 'ok')
      law(page.value.next === null || typeof page.value.next === 'string', 'a page follows by its token')
    return check(
      opened,
      stored,
      page,
      await exporter.send('r1', batch, never),
      await exporter.confirm!('r1', batch, () => 0, never),
      await exporter.closeRun('r1', { status: 'FINISHED', time: 1, made: true }, never),
      await exporter.openRun({ ...run, knownId: null, makingSince: Date.now(), mayExist: true }, never),
    )
  },
}

const collector: Target = {
  name: 'collector-answer',
  share: 120,
  make: answer,
  read: async (input) => {
    const via = new Via('own')
    const none = new Uint8Array()
    const blocks = [{ resourceHead: none, scopeHead: none, count: 1, bytes: framed(none) }]
    const spans = { kind: 'spans', first: 1, count: 1, blocks } as const
    const otlp = createOtlp({ settings: otlpSettings, via, dispatcher: answerOf(input) })
    const traces = createOtlp({ settings, via, dispatcher: answerOf(input) })
    const sent = await otlp.send('r1', spans, never)
    if (sent.kind === 'ok' && sent.refused !== undefined)
      law(Number.isInteger(sent.refused.rejected) && sent.refused.rejected > 0, 'what is refused are spans')
    return check(sent, await traces.readBack!.spans!(['00'], never))
  },
}

export const ANSWER_TARGETS: readonly Target[] = [mlflow, collector]
