import fc from 'fast-check'
import { describe, expect, inject, it } from 'vitest'
import { loadSettings } from '../../src/config/load.ts'
import { readFlags } from '../../src/config/flags.ts'
import type { Exporter, PointBatch, SendResult } from '../../src/exporters/exporter.ts'
import { MetricEncoder } from '../../src/exporters/mlflow/encode.ts'
import { createMlflow } from '../../src/exporters/mlflow/index.ts'
import { mlflowKey } from '../../src/exporters/mlflow/keys.ts'
import { FakeMlflow } from '../support/fake-mlflow.ts'
import { runToOpen } from '../support/run-to-open.ts'
import { freePort, MlflowApi } from '../support/mlflow.ts'

const exporterFor = (uri: string, ...flags: string[]): Exporter =>
  createMlflow({ settings: loadSettings(readFlags(['--mlflow-tracking-uri', uri, ...flags], false), {}).settings })

const batch = (points: readonly { key: string; step: number; time: number; value: number }[]): PointBatch => ({
  kind: 'points',
  first: 1,
  count: points.length,
  value: Float64Array.from(points, ({ value }) => value),
  step: Float64Array.from(points, ({ step }) => step),
  time: Float64Array.from(points, ({ time }) => time),
  series: Uint32Array.from(points, (_, i) => i),
  keyOf: (series) => points[series]!.key,
})

const never = new AbortController().signal
const message = (result: SendResult | { kind: string }): string =>
  'error' in result ? result.error.message : result.kind

async function opened(exporter: Exporter): Promise<string> {
  const result = await exporter.openRun({ ...runToOpen, target: exporter.target }, never)
  if (result.kind !== 'ok') throw result.error
  return result.runId
}

describe('a key', () => {
  it('is left alone when MLflow takes it, and else becomes one that it takes and that no other key becomes', () => {
    const odd = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.string({ unit: fc.constantFrom('a', '/', '.', '%', ' ', 'é', '\u0301', '名', '🎉', '\n'), maxLength: 300 }),
    )
    fc.assert(
      fc.property(odd, odd, (a, b) => {
        const mapped = mlflowKey(a)
        expect(mapped).toMatch(/^[/\p{L}\p{N}_.\- :]+$/u)
        expect([...mapped].length).toBeLessThanOrEqual(250)
        expect(
          mapped.split('/').every((part) => part !== '' && part !== '.' && part !== '..') && !mapped.startsWith('..'),
        ).toBe(true)
        expect(mlflowKey(mapped)).toBe(mapped)
        if (a.normalize('NFC') !== b.normalize('NFC')) expect(mlflowKey(b)).not.toBe(mapped)
      }),
      { numRuns: 500 },
    )
  })

  it('in whatever odd form is taken by a real MLflow, with its original in a tag', async () => {
    const url = inject('mlflowUrl')
    const exporter = exporterFor(url)
    const runId = await opened(exporter)
    const keys = [
      'trainer/loss',
      'misc/',
      'misc//',
      'misc/../../etc',
      'a//b',
      '..',
      '.a',
      '...',
      'loss%',
      'p(99)',
      'größe',
      'e\u0301',
      '名/前',
      '🎉',
      '\u0000',
      'line\nbreak',
      '\u001b[31m',
      `n${'x'.repeat(400)}`,
      '/lead',
      'trail/',
      'a/./b',
      "'quoted'",
      '`tick`',
      'x\u00a0y',
    ]
    const points = keys.map((key, i) => ({ key, step: i, time: 1_700_000_000_000, value: i }))
    expect(message(await exporter.send(runId, batch(points), never))).toBe('ok')
    const api = new MlflowApi(url)
    const stored = await api.points(runId)
    expect(stored.sort((a, b) => a.step - b.step).map(({ key }) => key)).toEqual(keys.map((key) => mlflowKey(key)))
    const tags = new Map(
      (await api.run(runId)).data.tags.map((tag: { key: string; value: string }) => [tag.key, tag.value]),
    )
    for (const key of keys) if (mlflowKey(key) !== key) expect([...tags.values()]).toContain(key)
    await exporter.close()
  })
})

describe('a batch', () => {
  it('is stored by a real MLflow with the doubles, steps and times that were sent', async () => {
    const url = inject('mlflowUrl')
    const exporter = exporterFor(url)
    const runId = await opened(exporter)
    const values = [
      0.1,
      1e-300,
      5e-324,
      1.7976931348623157e308,
      -2.5,
      0,
      123456789012345680000,
      Number.NaN,
      Infinity,
      -Infinity,
    ]
    const points = values.map((value, i) => ({ key: 'v', step: i - 3, time: 1_700_000_000_000 + i, value }))
    expect(message(await exporter.send(runId, batch(points), never))).toBe('ok')
    const stored = (await new MlflowApi(url).points(runId)).sort((a, b) => a.time - b.time)
    const kept = (value: number): number =>
      Number.isFinite(value) || Number.isNaN(value) ? value : Math.sign(value) * Number.MAX_VALUE
    expect(stored.map(({ value, step, time }) => [value, step, time])).toEqual(
      points.map(({ value, step, time }) => [kept(value), step, time]),
    )
    await exporter.close()
  })

  it('of whatever keys and numbers is JSON of ASCII alone that says them to the last bit', () => {
    const point = fc.record({
      key: fc.string({ unit: fc.constantFrom('a', '/', ' ', 'é', '名', '𝒳', '"', '\\'), minLength: 1, maxLength: 20 }),
      step: fc.integer(),
      time: fc.constantFrom(1_700_000_000_000, 1_700_000_000_001),
      value: fc.double(),
    })
    fc.assert(
      fc.property(fc.array(point, { maxLength: 20 }), fc.string({ unit: 'binary' }), (points, runId) => {
        const encoder = new MetricEncoder()
        const take = (bytes: number): Buffer => Buffer.alloc(bytes, '?')
        // Twice, since a key is remembered.
        for (const text of [1, 2].map(() => encoder.encode(runId, batch(points), take).toString('latin1'))) {
          expect(text).toMatch(/^[ -~]*$/)
          const told = JSON.parse(text) as { run_id: string; metrics: Record<string, unknown>[] }
          expect(told.run_id).toBe(runId)
          expect(told.metrics).toEqual(
            points.map(({ key, step, time, value }) => ({
              key: mlflowKey(key),
              // JSON has no sign of zero that MLflow would keep.
              value: Number.isFinite(value) ? value + 0 : String(value),
              timestamp: time,
              step: step + 0,
            })),
          )
        }
      }),
    )
  })

  it('that has to go once more after all goes as it was, though its memory was used again', async () => {
    const fake = await FakeMlflow.start()
    const exporter = exporterFor(fake.url)
    const runId = await opened(exporter)
    const of = (value: number): PointBatch =>
      batch(Array.from({ length: 1000 }, (_, step) => ({ key: `trainer/a_long_name_${value}`, step, time: 1, value })))
    const [first, second] = [of(1), of(2)]
    for (const each of [first, second, first]) expect(message(await exporter.send(runId, each, never))).toBe('ok')
    const bodies = fake.seen.filter(({ path }) => path.endsWith('log-batch')).map(({ body }) => JSON.stringify(body))
    expect([bodies.length, bodies[2] === bodies[0], bodies[1] === bodies[0]]).toEqual([3, true, false])
    await exporter.close()
  })

  it('with a step or time that MLflow would corrupt in silence is refused before it is sent', async () => {
    const fake = await FakeMlflow.start()
    const exporter = exporterFor(fake.url)
    const runId = await opened(exporter)
    const sent = fake.seen.length
    for (const bad of [{ step: 2.5 }, { step: 2 ** 53 }, { time: 1.5 }, { time: -1 }, { time: Number.NaN }]) {
      const result = await exporter.send(runId, batch([{ key: 'a', step: 1, time: 1, value: 1, ...bad }]), never)
      expect(result.kind).toBe('drop')
    }
    expect(fake.seen.length).toBe(sent)
    await exporter.close()
  })
})

describe('an answer', () => {
  const cases: [
    what: string,
    status: number,
    headers: Record<string, string>,
    body: string,
    kind: string,
    words: string,
  ][] = [
    [
      'a refusal with its code',
      400,
      {},
      '{"error_code":"INVALID_PARAMETER_VALUE","message":"bad\\nkey"}',
      'drop',
      'refuses it (INVALID_PARAMETER_VALUE: bad key)',
    ],
    [
      'a fault of its database',
      400,
      {},
      '{"error_code":"BAD_REQUEST","message":"QueuePool limit"}',
      'retry',
      'QueuePool limit',
    ],
    ['too many requests', 429, { 'retry-after': '7' }, '', 'retry', '429'],
    [
      'its being busy',
      503,
      {},
      '{"error_code":"TEMPORARILY_UNAVAILABLE","message":"database is locked"}',
      'retry',
      'database is locked',
    ],
    [
      'an error page',
      500,
      {},
      '<!doctype html><title>500</title><h1>Internal Server Error</h1>',
      'retry',
      '500 Internal Server Error',
    ],
    ['missing credentials', 401, {}, '<html>no</html>', 'retry', 'MLFLOW_TRACKING_USERNAME'],
    ['its Host check', 403, { 'content-type': 'text/plain' }, 'Invalid Host header', 'retry', '--allowed-hosts'],
    [
      'a page of another server with 200',
      200,
      { 'content-type': 'text/html' },
      '<html><body>Welcome to nginx!</body></html>',
      'retry',
      'does not answer like MLflow (200, Welcome to nginx!)',
    ],
    [
      'lists inside each other, far deeper than MLflow writes any',
      200,
      {},
      `{"run":${'['.repeat(101)}${']'.repeat(101)}}`,
      'retry',
      'does not answer like MLflow',
    ],
    ['a redirect', 302, { location: 'https://login.example.com/' }, '', 'retry', 'https://login.example.com/'],
    [
      'a page that is not there',
      404,
      {},
      '<html>Not Found</html>',
      'retry',
      'does the address lead to another server?',
    ],
    ['a body that is too large for a proxy', 413, {}, '', 'drop', '413'],
  ]
  for (const [what, status, headers, body, kind, words] of cases) {
    it(`that is ${what} is told apart and put into words`, async () => {
      const fake = await FakeMlflow.start()
      const exporter = exporterFor(fake.url)
      const runId = await opened(exporter)
      fake.fault = (_request, response) => (response.writeHead(status, headers).end(body), true)
      const result = await exporter.send(runId, batch([{ key: 'a', step: 1, time: 1, value: 1 }]), never)
      expect([result.kind, message(result)]).toEqual([kind, expect.stringContaining(words)])
      expect(message(result)).toContain(fake.url)
      if (status === 429) expect(result).toMatchObject({ afterMs: 7000 })
      await exporter.close()
    })
  }

  it('that never comes, breaks off or is no HTTP leaves it open whether the batch is stored', async () => {
    const fake = await FakeMlflow.start()
    const exporter = exporterFor(fake.url)
    const runId = await opened(exporter)
    const send = (abort: AbortSignal) => exporter.send(runId, batch([{ key: 'a', step: 1, time: 1, value: 1 }]), abort)
    fake.fault = (_request, _response, socket) => (socket.destroy(), true)
    expect((await send(never)).kind).toBe('unanswered')
    fake.fault = (_request, response) => (
      response.writeHead(200, { 'content-length': '100' }).write('{'),
      setImmediate(() => response.destroy()),
      true
    )
    expect((await send(never)).kind).toBe('unanswered')
    fake.fault = (_request, _response, socket) => (socket.end('SSH-2.0-OpenSSH_9.2\r\n'), true)
    expect((await send(never)).kind).toBe('unanswered')
    const controller = new AbortController()
    fake.fault = () => (controller.abort(), true)
    expect((await send(controller.signal)).kind).toBe('unanswered')
    await exporter.close()
  })

  it('that says nobody listens names the tunnel', async () => {
    const exporter = exporterFor(`http://127.0.0.1:${await freePort()}`)
    const result = await exporter.openRun({ ...runToOpen, target: exporter.target }, never)
    expect([result.kind, message(result)]).toEqual([
      'retry',
      expect.stringContaining('is not there (connection refused): is the server running, and the tunnel up?'),
    ])
    await exporter.close()
  })
})

describe('a run', () => {
  it('is made with its name, its start as a whole number and the tags that MLflow shows', async () => {
    const fake = await FakeMlflow.start()
    const exporter = exporterFor(`${fake.url}/`, '--mlflow-experiment-id', '7')
    await exporter.openRun(
      {
        ...runToOpen,
        target: exporter.target,
        command: ['python', '-u', 'train.py', '--api-key', 'hidden'],
        directory: process.cwd(),
        tags: [['team', 'rl']],
      },
      never,
    )
    const { body } = fake.of('runs/create')[0]!
    const tags = Object.fromEntries(body.tags.map((tag: { key: string; value: string }) => [tag.key, tag.value]))
    expect(body).toMatchObject({ experiment_id: '7', start_time: 1_700_000_000_000, run_name: 'ppo' })
    expect(Object.keys(body)[0]).toBe('experiment_id')
    expect(tags).toMatchObject({
      'spanbridge.run': '01TEST',
      'mlflow.source.name': 'train.py',
      'mlflow.source.type': 'LOCAL',
    })
    expect(tags['mlflow.user']).not.toBe('')
    expect(JSON.stringify(body)).not.toContain('hidden')
    await exporter.close()
  })

  it('is found again by its tag instead of being made twice', async () => {
    const fake = await FakeMlflow.start()
    const exporter = exporterFor(fake.url)
    const first = await opened(exporter)
    expect(
      await exporter.openRun({ ...runToOpen, target: exporter.target, makingSince: Date.now() }, never),
    ).toMatchObject({
      kind: 'ok',
      runId: first,
      made: true,
    })
    expect(fake.of('runs/create')).toHaveLength(1)
    await exporter.close()
  })

  it('whose metrics have steps that cannot be read has no point taken for stored', async () => {
    const fake = await FakeMlflow.start()
    const exporter = exporterFor(fake.url)
    const deep = `${'['.repeat(90)}${']'.repeat(90)}`
    const metrics = `[{"key":"a","step":"7"},{"key":"b","step":"x"},{"key":"c"},{"key":"d","step":{}},{"key":"e","step":${deep}}]`
    const run = `{"run":{"info":{"experiment_id":"1","lifecycle_stage":"active"},"data":{"metrics":${metrics}}}}`
    fake.fault = ({ path }, response) => path === 'runs/get' && (response.writeHead(200).end(run), true)
    const result = await exporter.openRun({ ...runToOpen, target: exporter.target, knownId: 'r1' }, never)
    const none = Number.MAX_SAFE_INTEGER
    expect(result).toMatchObject({ kind: 'ok' })
    expect('heights' in result && [...(result.heights ?? [])]).toEqual([
      ['a', 7],
      ['b', none],
      ['c', 0],
      ['d', none],
      ['e', none],
    ])
    await exporter.close()
  })

  it('that was given is used, and not ended unless that is asked for', async () => {
    const fake = await FakeMlflow.start()
    const maker = exporterFor(fake.url)
    const runId = await opened(maker)
    for (const [flags, status] of [
      [[], 'RUNNING'],
      [['--mlflow-end-run', 'always'], 'FINISHED'],
    ] as const) {
      const exporter = exporterFor(fake.url, '--mlflow-run-id', runId, ...flags)
      expect(await exporter.openRun({ ...runToOpen, target: exporter.target }, never)).toMatchObject({
        kind: 'ok',
        runId,
        made: false,
      })
      await exporter.closeRun(runId, { status: 'FINISHED', time: 5.5, made: false }, never)
      expect(fake.runs.get(runId)!.info['status']).toBe(status)
      await exporter.close()
    }
    await maker.close()
  })

  it('goes into an experiment by name, which is made when there is none', async () => {
    const url = inject('mlflowUrl')
    const name = `exp ${process.hrtime.bigint()}`
    const first = exporterFor(url, '--mlflow-experiment-name', name)
    const second = exporterFor(url, '--mlflow-experiment-name', name)
    const api = new MlflowApi(url)
    const ids = [await opened(first), await opened(second)]
    const experiments = await Promise.all(ids.map(async (id) => (await api.run(id)).info.experiment_id))
    expect(experiments[0]).toBe(experiments[1])
    expect(experiments[0]).not.toBe('0')
    await Promise.all([first.close(), second.close()])
  })

  it('has its empty twins deleted at its end, which is tried again until they are', async () => {
    const fake = await FakeMlflow.start()
    const exporter = exporterFor(fake.url)
    const runId = await opened(exporter)
    // A proxy has sent the request to make it twice.
    const tags = [{ key: 'spanbridge.run', value: runToOpen.run }]
    fake.model.answer({ path: 'runs/create', body: { experiment_id: '0', start_time: 1, tags } })
    const end = { status: 'FINISHED', time: 5, made: true } as const
    fake.fault = ({ path }, response) => path === 'runs/search' && (response.writeHead(503).end(), true)
    expect((await exporter.closeRun(runId, end, never)).kind).toBe('retry')
    fake.fault = () => false
    expect((await exporter.closeRun(runId, end, never)).kind).toBe('ok')
    expect([...fake.runs.values()].map(({ info }) => info.lifecycle_stage)).toEqual(['active', 'deleted'])
    await exporter.close()
  })

  it('that an earlier process may have made is looked for before another one is made', async () => {
    const fake = await FakeMlflow.start()
    const [first, second] = [exporterFor(fake.url), exporterFor(fake.url)]
    const runId = await opened(first)
    const again = await second.openRun({ ...runToOpen, target: second.target, mayExist: true }, never)
    expect(again).toMatchObject({ kind: 'ok', runId })
    expect(fake.runs.size).toBe(1)
    await Promise.all([first.close(), second.close()])
  })

  it('is believed to be ended only when the answer shows it', async () => {
    const fake = await FakeMlflow.start()
    const exporter = exporterFor(fake.url)
    const runId = await opened(exporter)
    fake.fault = ({ path }, response) =>
      path === 'runs/update' && (response.writeHead(200).end('{"run_info":{"status":"RUNNING"}}'), true)
    expect((await exporter.closeRun(runId, { status: 'FINISHED', time: 5, made: true }, never)).kind).toBe('retry')
    await exporter.close()
  })
})

describe('credentials', () => {
  it('are a user and password before a token, and may stand in the address, which is shown without them', async () => {
    const fake = await FakeMlflow.start()
    const withUser = fake.url.replace('//', '//me:p%40ss@')
    for (const [uri, flags, wanted] of [
      [fake.url, ['--mlflow-token', 'abc'], 'Bearer abc'],
      [fake.url, ['--mlflow-token', 'abc', '--mlflow-username', 'u', '--mlflow-password', 'p'], `Basic ${btoa('u:p')}`],
      [withUser, [], `Basic ${btoa('me:p@ss')}`],
      [fake.url, [], undefined],
    ] as const) {
      const exporter = exporterFor(uri, ...flags)
      await exporter.openRun({ ...runToOpen, target: exporter.target }, never)
      expect(fake.seen.at(-1)!.headers.authorization).toBe(wanted)
      expect(exporter.address).toBe(fake.url)
      await exporter.close()
    }
  })

  it('do not follow a redirect to another server', async () => {
    const [fake, other] = [await FakeMlflow.start(), await FakeMlflow.start()]
    fake.fault = (_request, response) => (response.writeHead(307, { location: other.url }).end(), true)
    const exporter = exporterFor(fake.url, '--mlflow-token', 'abc')
    expect(message(await exporter.openRun({ ...runToOpen, target: exporter.target }, never))).toContain(other.url)
    expect(other.seen).toEqual([])
    await exporter.close()
  })
})

describe('a batch whose answer was lost', () => {
  const point = (value: number, key = 'loss') => ({ key, step: value, time: value, value })
  const isThere = async (stored: ReturnType<typeof point>[], sent: ReturnType<typeof point>[]): Promise<string> => {
    const exporter = exporterFor(inject('mlflowUrl'))
    const runId = await opened(exporter)
    if (stored.length > 0) expect(await exporter.send(runId, batch(stored), never)).toEqual({ kind: 'ok' })
    return message(await exporter.confirm!(runId, batch(sent), () => 0, never))
  }

  it.each([
    ['is there when its last point and its first are', [1, 2, 3], [1, 2, 3], 'stored'],
    ['is not there when only its beginning is, which came with another one', [1, 2], [1, 2, 3], 'missing'],
    ['is not there when only its end is, which came before as the same row', [3], [1, 2, 3], 'missing'],
    ['is not there when nothing is', [], [1], 'missing'],
    ['cannot be told when no point of it lies beyond what was there', [0], [0], 'unknown'],
  ] as const)('%s', async (_, stored, sent, expected) => {
    expect(
      await isThere(
        stored.map((n) => point(n)),
        sent.map((n) => point(n)),
      ),
    ).toBe(expected)
  })

  it('is not there when both its ends are, and points of another series between them are not', async () => {
    const [first, other, last] = [point(1), point(2, 'reward'), point(3)]
    expect(await isThere([first, last], [first, other, last])).toBe('missing')
    expect(await isThere([first, other, last], [first, other, last])).toBe('stored')
  })
})
