import { mkdirSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest'
import type { AuditRow } from '../../src/audit/counts.ts'
import type { DestinationAudit } from '../../src/audit/run.ts'
import { mlflowKey } from '../../src/exporters/mlflow/keys.ts'
import { collector } from '../support/otlp-daemon.ts'
import { freePort, MlflowApi, startMlflow, type MlflowServer } from '../support/mlflow.ts'
import { Proxy } from '../support/proxy.ts'
import { spanbridge, startBridge, statusOf, temporaryDirectory } from '../support/spanbridge.ts'

const directory = mkdtempSync(join(tmpdir(), 'mlflow-'))
let server: MlflowServer
let api: MlflowApi
beforeAll(async () => {
  server = await startMlflow(directory)
  api = new MlflowApi(server.url)
}, 120_000)
afterAll(() => server.stop())

/** Writes into the database behind the server's back. */
function edit(sql: string, ...values: (string | number)[]): void {
  const database = new DatabaseSync(join(directory, 'mlflow.db'), { timeout: 20_000 })
  try {
    expect(Number(database.prepare(sql).run(...values).changes), sql).toBeGreaterThan(0)
  } finally {
    database.close()
  }
}

const line = (step: number, fields = `"loss":${step / 8},"a(b)":${step}`): string =>
  `{"step":${step},"timestamp":"2026-11-22T05:07:39.787Z",${fields}}\n`
const STARTUP = '{"message":"startup","lr":0.1,"policy":"mlp"}\n'
const lines = (n: number): string => STARTUP + Array.from({ length: n }, (_, step) => line(step)).join('')

/** A line with a span that the next one ends. */
const inSpan = (step: number): string => {
  const span = { name: 'update', step }
  const timestamp = new Date(1_790_000_000_000 + step).toISOString()
  return `${JSON.stringify({ timestamp, fields: { loss: step / 8 }, span, spans: [span] })}\n`
}

/** Bridges `input` to its end; gives back where its journal is, and the tracker's run. */
async function bridged(input: string, args: readonly string[] = []): Promise<{ stateDir: string; runId: string }> {
  const stateDir = temporaryDirectory()
  const to = ['--quiet', '--state-dir', stateDir, '--mlflow-tracking-uri', server.url]
  const { code, stderr } = await spanbridge([...to, '--tag', 'team=rl', ...args], input)
  expect(code, stderr).toBe(0)
  return { stateDir, runId: (await statusOf(stateDir))[0]!.destinations[0]!.runId! }
}

interface Audited {
  code: number | null
  text: string
  stderr: string
  destinations: DestinationAudit[]
  /** The first destination, and its rows with a difference as `kind key`. */
  mlflow: DestinationAudit
  named: string[]
}

/** Audits all runs of a state directory, for people and for scripts: they must say the same. */
async function audited(stateDir: string, args: readonly string[] = [], url = server.url): Promise<Audited> {
  const words = ['--state-dir', stateDir, ...(args.includes('--otlp-endpoint') ? [] : ['--mlflow-tracking-uri', url])]
  const [text, json] = await Promise.all([
    spanbridge(['audit', ...words, ...args]),
    spanbridge(['audit', '--json', ...words, ...args]),
  ])
  expect(json.code, json.stderr).toBe(text.code)
  const { runs } = JSON.parse(json.stdout.toString()) as { runs: { destinations: DestinationAudit[] }[] }
  const { destinations } = runs[0]!
  const named = destinations.flatMap(({ rows }) => rows.filter(isOff).map(({ kind, key }) => `${kind} ${key}`))
  for (const name of named)
    expect(text.stdout.toString()).toMatch(new RegExp(`^ +${name.replace(/[()]/g, '\\$&')} `, 'm'))
  return {
    code: text.code,
    text: text.stdout.toString(),
    stderr: text.stderr,
    destinations,
    mlflow: destinations[0]!,
    named,
  }
}

const isOff = ({ missing, different, added }: AuditRow): boolean => missing + different + added > 0

describe('audit', () => {
  it('finds a run equal, with every value that MLflow keeps in a way of its own', async () => {
    const strange = [
      line(-3, '"loss":NaN,"inf":Infinity,"down":-Infinity,"zero":-0.0,"key with (brackets)":1,"tiny":5e-324'),
      line(-2, '"loss":0,"inf":1,"down":0.1,"zero":0,"key with (brackets)":0.30000000000000004,"tiny":-5e-324'),
      // The same once more, and another value at the same step and time.
      line(-2, '"loss":0,"inf":1'),
      line(-2, '"loss":0.5'),
      line(2 ** 40, '"loss":1.7976931348623157e308'),
    ]
    const { stateDir } = await bridged(lines(20) + strange.join(''), ['--param', `long=${'x'.repeat(7000)}`])
    const { code, text, mlflow, named } = await audited(stateDir)
    expect([code, named], text).toEqual([0, []])
    expect(mlflow).toMatchObject({ result: 'equal', error: null, made: true, notKept: 0 })
    const row = (key: string): AuditRow | undefined => mlflow.rows.find((each) => each.key === key)
    expect(row('misc/loss')).toMatchObject({ kind: 'metric', journal: 24, equal: 24, repeated: 1 })
    expect(mlflow.rows.filter(({ kind }) => kind !== 'metric').map(({ kind, key }) => `${kind} ${key}`)).toEqual(
      expect.arrayContaining([
        'end status',
        'end end time',
        'param lr',
        'param long',
        'tag team',
        'tag spanbridge.run',
      ]),
    )
    expect(text).toMatch(/: equal\n +2 equal rows of the journal counted once\n/)
  })

  /** What is done to the database behind a run of 20 steps, and what the audit then says. */
  const edits: [what: string, sql: string, named: string, counts: Partial<AuditRow>, words: RegExp][] = [
    [
      'a point that was deleted',
      "DELETE FROM metrics WHERE run_uuid = ? AND key = 'misc/loss' AND step = 7",
      'metric misc/loss',
      { equal: 19, missing: 1 },
      /step 7 at 2026-11-22T05:07:39.787Z: 0.875 is not there/,
    ],
    [
      'a point that was altered',
      "UPDATE metrics SET value = 99 WHERE run_uuid = ? AND key = 'misc/loss' AND step = 7",
      'metric misc/loss',
      { equal: 19, different: 1 },
      /step 7 at \S+: 0.875 is 99 there/,
    ],
    [
      'a point at another time',
      "UPDATE metrics SET timestamp = timestamp + 1 WHERE run_uuid = ? AND key = 'misc/loss' AND step = 7",
      'metric misc/loss',
      { equal: 19, missing: 1, added: 1 },
      /step 7 at \S+: 0.875 is not there/,
    ],
    [
      'a point that was added',
      "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) SELECT key, value, timestamp, run_uuid, 1000, is_nan FROM metrics WHERE run_uuid = ? AND key = 'misc/loss' AND step = 7",
      'metric misc/loss',
      { equal: 20, added: 1 },
      /step 1000 at \S+: 0.875 was never sent/,
    ],
    [
      'a whole metric that is gone',
      "DELETE FROM metrics WHERE run_uuid = ? AND key LIKE 'misc/a_b_%'",
      `metric ${mlflowKey('misc/a(b)')}`,
      { equal: 0, missing: 20 },
      /step 0 at \S+: 0 is not there/,
    ],
    [
      'a param that is gone',
      "DELETE FROM params WHERE run_uuid = ? AND key = 'lr'",
      'param lr',
      { missing: 1 },
      /'0.1' is not there/,
    ],
    [
      'a param that was altered',
      "UPDATE params SET value = '0.2' WHERE run_uuid = ? AND key = 'lr'",
      'param lr',
      { different: 1 },
      /'0.1' is '0.2' there/,
    ],
    [
      'a param that was added',
      "INSERT INTO params (key, value, run_uuid) VALUES ('theirs', '1', ?)",
      'param theirs',
      { added: 1 },
      /'1' was never sent/,
    ],
    [
      'a tag that is gone',
      "DELETE FROM tags WHERE run_uuid = ? AND key = 'team'",
      'tag team',
      { missing: 1 },
      /'rl' is not there/,
    ],
    [
      'the tag that the run is found by',
      "DELETE FROM tags WHERE run_uuid = ? AND key = 'spanbridge.run'",
      'tag spanbridge.run',
      { missing: 1 },
      /is not there/,
    ],
    [
      'a status that was altered',
      "UPDATE runs SET status = 'FAILED' WHERE run_uuid = ?",
      'end status',
      { different: 1 },
      /'FINISHED' is 'FAILED' there/,
    ],
    [
      'an end time that was altered',
      'UPDATE runs SET end_time = end_time + 1000 WHERE run_uuid = ?',
      'end end time',
      { different: 1 },
      /Z' is '\S+Z' there/,
    ],
  ]
  it.each(edits)('names %s', async (_, sql, name, counts, words) => {
    const { stateDir, runId } = await bridged(lines(20))
    edit(sql, runId)
    const { code, text, mlflow, named } = await audited(stateDir)
    expect([code, named], text).toEqual([1, [name]])
    expect(mlflow.result).toBe('different')
    expect(mlflow.rows.find(isOff)).toMatchObject({ missing: 0, different: 0, added: 0, ...counts })
    expect(text).toMatch(words)
  })

  it('names traces that lack spans and traces that are gone', async () => {
    const { stateDir } = await bridged(Array.from({ length: 30 }, (_, step) => inSpan(step)).join(''))
    const clean = await audited(stateDir)
    expect(clean.code, clean.text).toBe(0)
    expect(clean.destinations[1]).toMatchObject({ exporter: 'otlp', result: 'equal', sum: { journal: 30, equal: 30 } })
    const traces = await api.traces(clean.mlflow.runId!)
    expect(traces).toHaveLength(30)
    edit('DELETE FROM spans WHERE trace_id = ?', traces[0]!.id)
    edit('DELETE FROM trace_info WHERE request_id = ?', traces[1]!.id)
    const { code, named, destinations } = await audited(stateDir)
    expect(code).toBe(1)
    expect(named.sort()).toEqual(
      traces
        .slice(0, 2)
        .map(({ id }) => `trace ${id.replace('tr-', '')}`)
        .sort(),
    )
    expect(destinations[1]).toMatchObject({ result: 'different', sum: { journal: 30, equal: 28, missing: 2 } })
  })

  it('takes what is not delivered yet for pending, in a run that goes on, also by way of another address', async () => {
    const proxy = await Proxy.start(server.url)
    onTestFinished(() => proxy.stop())
    const stateDir = temporaryDirectory()
    const running = startBridge(['--quiet', '--state-dir', stateDir, '--mlflow-tracking-uri', proxy.url])
    const pending = async (): Promise<object | undefined> => (await statusOf(stateDir))[0]?.destinations[0]?.points
    running.child.stdin.write(lines(60))
    await expect.poll(pending, { timeout: 30_000 }).toMatchObject({ delivered: 120, pending: 0 })
    proxy.treat = () => 'close'
    running.child.stdin.write(Array.from({ length: 10 }, (_, step) => line(100 + step)).join(''))
    await expect.poll(pending, { timeout: 30_000 }).toMatchObject({ delivered: 120, pending: 20 })
    const { code, text, mlflow } = await audited(stateDir)
    expect([code, mlflow.result], text).toEqual([0, 'equal'])
    expect(mlflow.rows.find(({ key }) => key === 'misc/loss')).toMatchObject({ journal: 70, equal: 60, pending: 10 })
    expect(mlflow.rows.some(({ kind }) => kind === 'end')).toBe(false)
    running.child.kill('SIGKILL')
  })

  it('leaves to others what they have written into a run that was given, and says so', async () => {
    const runId = (await api.post('runs/create', { experiment_id: '0', start_time: 1 })).run.info.run_id as string
    const metrics = [{ key: 'misc/loss', value: 5, timestamp: 5, step: 5 }]
    const params = [{ key: 'lr', value: '0.2' }]
    await api.post('runs/log-batch', { run_id: runId, metrics, params })
    const { stateDir } = await bridged(lines(5), ['--mlflow-run-id', runId])
    const { code, text, mlflow } = await audited(stateDir)
    expect([code, mlflow.made, mlflow.sum.added], text).toEqual([0, false, 0])
    expect(text).toContain('the run was given from outside: what else is in it is no difference')
    expect(mlflow.rows.find(({ key }) => key === 'misc/loss')).toMatchObject({ journal: 5, equal: 5 })
    expect(mlflow.rows.find(({ key }) => key === 'lr')).toMatchObject({ rejected: 1, different: 0 })
    expect(mlflow.rows.some(({ kind }) => kind === 'end')).toBe(false)
  })

  it('counts points that the journal does not hold any more, and takes them for no difference', async () => {
    const stateDir = temporaryDirectory()
    const running = startBridge(['--quiet', '--state-dir', stateDir, '--mlflow-tracking-uri', server.url])
    running.child.stdin.write(lines(50))
    // What is committed is a block of its own.
    await expect.poll(async () => (await statusOf(stateDir))[0]?.points, { timeout: 30_000 }).toBe(100)
    running.child.stdin.end(Array.from({ length: 10 }, (_, step) => line(50 + step)).join(''))
    expect((await running.finished).code).toBe(0)
    const database = new DatabaseSync((await statusOf(stateDir))[0]!.journal)
    const { count } = database.prepare('SELECT count FROM blocks WHERE first = 1').get() as { count: number }
    database.exec('DELETE FROM blocks WHERE first = 1')
    database.close()
    const { code, text, mlflow } = await audited(stateDir)
    expect([code, mlflow.notKept, mlflow.sum.added], text).toEqual([0, count, 0])
    expect(text).toContain('not kept in the journal')
    expect(mlflow.rows.find(({ key }) => key === 'misc/loss')).toMatchObject({ journal: 60 - count / 2 })
  })

  it('reads long series page by page', async () => {
    const proxy = await Proxy.start(server.url)
    onTestFinished(() => proxy.stop())
    // Of a key as long as this one a page has few rows.
    const key = 'k'.repeat(240)
    const { stateDir } = await bridged(Array.from({ length: 9000 }, (_, step) => line(step, `"${key}":1`)).join(''))
    const { code, text, mlflow } = await audited(stateDir, [], proxy.url)
    expect([code, mlflow.rows.find(({ kind }) => kind === 'metric')], text).toMatchObject([0, { equal: 9000 }])
    expect(proxy.counts.get('metrics/get-history')).toBe(2 * 3)
  })

  it('says when the run is not at the server, and where the journal knows it', async () => {
    const { stateDir, runId } = await bridged(lines(3))
    const { code, text, mlflow } = await audited(stateDir, [], inject('mlflowUrl'))
    expect([code, mlflow.result], text).toEqual([1, 'failed'])
    expect(text).toMatch(/RESOURCE_DOES_NOT_EXIST/)
    expect(text).toContain(`the journal knows the run ${runId} at ${server.url}`)
  })

  it('says when the run is deleted', async () => {
    const { stateDir, runId } = await bridged(lines(3))
    await api.post('runs/delete', { run_id: runId })
    const { code, text } = await audited(stateDir)
    expect(code).toBe(1)
    expect(text).toContain(`the run ${runId} is deleted; restore it there`)
  })

  it('says when nobody is there', async () => {
    const { stateDir } = await bridged(lines(3))
    const { code, text, mlflow } = await audited(stateDir, [], `http://127.0.0.1:${await freePort()}`)
    expect([code, mlflow.result, mlflow.error], text).toEqual([1, 'failed', expect.stringContaining('is not there')])
    expect(text).toContain('is not there (connection refused)')
  })

  it('says of a collector that it cannot be read back, and of a run that it is not delivered', async () => {
    const { url } = await collector()
    const stateDir = temporaryDirectory()
    await spanbridge(['--quiet', '--state-dir', stateDir, '--otlp-endpoint', url], inSpan(1) + inSpan(2))
    const { code, text } = await audited(stateDir, ['--otlp-endpoint', url])
    expect([code, text]).toEqual([0, expect.stringMatching(/otlp http:\S+ run \S+: cannot be read back\n/)])
    const later = await audited(stateDir)
    expect([later.code, later.mlflow.result], later.text).toEqual([0, 'not delivered'])
  })

  it('takes runs by name and by file, and refuses what is neither', async () => {
    const { stateDir } = await bridged(lines(3), ['--run-name', 'ppo'])
    const [run] = await statusOf(stateDir)
    for (const word of ['ppo', run!.run, run!.journal]) expect((await audited(stateDir, [word])).code).toBe(0)
    const args = ['--state-dir', stateDir, '--mlflow-tracking-uri', server.url]
    const folder = join(temporaryDirectory(), 'x.sqlite')
    mkdirSync(folder)
    for (const word of ['nobody', folder]) {
      const { code, stderr } = await spanbridge(['audit', word, ...args])
      expect([code, stderr]).toEqual([2, expect.stringContaining(`there is no journal '${word}'`)])
    }
    const without = await spanbridge(['audit', '--state-dir', stateDir])
    expect([without.code, without.stderr]).toEqual([2, expect.stringContaining('there is no destination')])
  })
})
