import { createServer as createTlsServer } from 'node:https'
import { createServer, type AddressInfo } from 'node:net'
import { createServer as createHttpServer, request } from 'node:http'
import { closeSync, fstatSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, inject, it, onTestFinished } from 'vitest'
import { certificate } from '../support/certificate.ts'
import { FakeMlflow, type Fault } from '../support/fake-mlflow.ts'
import { freePort, MlflowApi, startMlflow, type MlflowServer } from '../support/mlflow.ts'
import { get, listen, serve } from '../support/page.ts'
import { startWithPage, until } from '../support/served.ts'
import { Proxy } from '../support/proxy.ts'
import { spanbridge, start, startBridge, statusOf, SPANBRIDGE, temporaryDirectory } from '../support/spanbridge.ts'

/*
 * Every line of the runbook's table of words, provoked, by a real MLflow where it does that on demand. What is said must
 * hold the words of the table.
 */

const LINE = '{"step":1,"loss":0.5}\n'
const many = (n: number): string => Array.from({ length: n }, (_, step) => `{"step":${step},"loss":0.5}\n`).join('')

/** Runs until the words are there, or to the end of the input; returns what was said. */
async function said(words: string, args: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const running = startBridge(['--quiet', '--state-dir', temporaryDirectory(), ...args], { env })
  running.child.stdin.write(LINE)
  await running.seen(words)
  running.child.kill('SIGKILL')
  return (await running.finished).stderr
}

const at = (uri: string): string[] => ['--mlflow-tracking-uri', uri]

/** The words when every request gets this answer. */
async function answered(words: string, fault: Fault): Promise<string> {
  const fake = await FakeMlflow.start()
  fake.fault = fault
  return said(words, at(fake.url))
}

/** The port of a proxy for any host, which leads to the real MLflow and leaves the Host header as it is. */
async function proxyForAnyHost(): Promise<number> {
  const { hostname, port } = new URL(inject('mlflowUrl'))
  const server = createHttpServer((incoming, response) => {
    const { pathname, search } = new URL(incoming.url!)
    const options = { hostname, port, method: incoming.method, headers: incoming.headers, path: pathname + search }
    const onward = request(options, (answer) => {
      response.writeHead(answer.statusCode!, answer.headers)
      answer.pipe(response)
    })
    incoming.pipe(onward)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

const api = (): MlflowApi => new MlflowApi(inject('mlflowUrl'))
const newRun = async (): Promise<string> =>
  (await api().post('runs/create', { experiment_id: '0', start_time: 1 })).run.info.run_id

/** A real MLflow with users: a password that is asked for, and a user who may only read. */
async function startWithUsers(): Promise<MlflowServer> {
  const server = await startMlflow(undefined, undefined, {
    args: ['--app-name', 'basic-auth'],
    env: { MLFLOW_FLASK_SERVER_SECRET_KEY: 'a secret of the tests', MLFLOW_AUTH_CONFIG_PATH: authConfig() },
  })
  const made = await fetch(`${server.url}/api/2.0/mlflow/users/create`, {
    method: 'POST',
    headers: {
      authorization: `Basic ${Buffer.from('admin:chosen-by-the-tests').toString('base64')}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ username: 'reader', password: 'reads-only-1234' }),
  })
  expect(made.status, await made.text()).toBe(200)
  return server
}

const directory = mkdtempSync(join(tmpdir(), 'spanbridge-test-'))
let withUsers: MlflowServer
beforeAll(async () => {
  withUsers = await startWithUsers()
}, 120_000)
afterAll(async () => {
  await withUsers.stop()
  rmSync(directory, { recursive: true, force: true })
})

function authConfig(): string {
  const path = join(directory, 'auth.ini')
  const lines = [
    '[mlflow]',
    'default_permission = READ',
    `database_uri = sqlite:///${directory}/auth.db`,
    'admin_username = admin',
    'admin_password = chosen-by-the-tests',
    'authorization_function = mlflow.server.auth:authenticate_request_basic_auth',
  ]
  writeFileSync(path, `${lines.join('\n')}\n`)
  return path
}

const nobody = async (): Promise<string> => `http://127.0.0.1:${await freePort()}`

/** How each line of the table comes about, by its words. */
const PROVOKED: Readonly<Record<string, (words: string) => Promise<string>>> = {
  'is not there (connection refused)': async (words) => said(words, at(await nobody())),
  'closed the connection before it answered': async (words) => {
    const proxy = await Proxy.start(inject('mlflowUrl'))
    onTestFinished(() => proxy.stop())
    proxy.treat = () => 'close'
    return said(words, at(proxy.url))
  },
  'has not answered yet': async (words) => {
    const silent = createServer(() => {})
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void silent.close())
    return said(words, at(`http://127.0.0.1:${(silent.address() as AddressInfo).port}`))
  },
  'does not answer: does the server hang': (words) => answered(words, ({ path }) => path === 'runs/log-batch'),
  'cannot be found': (words) => said(words, at('http://no-such-host.invalid:5000')),
  'asks for credentials (401)': (words) => said(words, at(withUsers.url)),
  'forbids it (403, Invalid Host header': async (words) => {
    const env = { http_proxy: `http://127.0.0.1:${await proxyForAnyHost()}` }
    return said(words, at('http://mlflow.example.net:5000'), env)
  },
  'the user lacks the rights': (words) =>
    said(words, at(withUsers.url), { MLFLOW_TRACKING_USERNAME: 'reader', MLFLOW_TRACKING_PASSWORD: 'reads-only-1234' }),
  'does not answer like MLflow': async (words) => {
    const other = createHttpServer((_request, response) => response.end('<h1>Welcome to another server</h1>'))
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void other.close())
    return said(words, at(`http://127.0.0.1:${(other.address() as AddressInfo).port}`))
  },
  'speaks no TLS': (words) => said(words, at(inject('mlflowUrl').replace('http:', 'https:'))),
  'shows a certificate that does not hold': async (words) => {
    const { cert, key } = certificate()
    const server = createTlsServer({ cert, key })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    return said(words, at(`https://127.0.0.1:${(server.address() as AddressInfo).port}`))
  },
  'refuses it (RESOURCE_DOES_NOT_EXIST': (words) =>
    said(words, [...at(inject('mlflowUrl')), '--mlflow-experiment-id', '987654']),
  "must be in the 'active' state": async (words) => {
    const running = startBridge(['--quiet', '--state-dir', temporaryDirectory(), ...at(inject('mlflowUrl'))])
    running.child.stdin.write(LINE)
    await running.seen('mlflow: run')
    const runId = /mlflow: run (\w+)/.exec(Buffer.concat(running.output.stderr).toString())![1]!
    await api().post('runs/delete', { run_id: runId })
    running.child.stdin.write('{"step":2,"loss":1}\n')
    await running.seen(words)
    running.child.kill('SIGKILL')
    return (await running.finished).stderr
  },
  'has not answered the request to make a run': (words) =>
    answered(words, ({ path }, _response, socket) => path === 'runs/create' && (socket.destroy(), true)),
  'cannot take it now (503': (words) =>
    answered(words, (_request, response) => (response.writeHead(503).end('Service Unavailable'), true)),
  'is refused and set aside': async () => {
    const runId = await newRun()
    await api().post('runs/log-parameter', { run_id: runId, key: 'lr', value: '1' })
    const args = ['--quiet', '--state-dir', temporaryDirectory(), ...at(inject('mlflowUrl')), '--mlflow-run-id', runId]
    const { stderr } = await spanbridge(args, `{"message":"startup","lr":2}\n${LINE}`)
    expect(await api().history(runId, 'misc/loss')).toHaveLength(1)
    return stderr
  },
  'no_step, the first in': async () =>
    (await spanbridge(['--quiet', '--state-dir', temporaryDirectory()], '{"loss":1}\n')).stderr,
  'lets no event': async () => {
    const line = '{"level":"INFO","target":"ppo","fields":{"step":1,"loss":1}}\n'
    const options = { env: { RUST_LOG: 'off' } }
    const { stderr } = await spanbridge(['--quiet', '--state-dir', temporaryDirectory()], line, options)
    expect(stderr).toContain('0 points + skipped (1 filtered)')
    return stderr
  },
  'refuses spans': async (words) => {
    const fake = await FakeMlflow.start()
    fake.fault = ({ path }, response) => path === '/v1/traces' && (response.writeHead(404).end('Not Found'), true)
    const running = startBridge(['--quiet', '--state-dir', temporaryDirectory(), ...at(fake.url)])
    const span = { name: 'update', step: 1 }
    for (let step = 1; step <= 2; step += 1)
      running.child.stdin.write(
        `${JSON.stringify({ fields: { loss: 1 }, span: { ...span, step }, spans: [{ ...span, step }] })}\n`,
      )
    await running.seen(words)
    running.child.kill('SIGKILL')
    return (await running.finished).stderr
  },
  'is taken; OTLP is received at': async () => {
    const other = createServer()
    // Where 4318 is taken already, that is just as well.
    await new Promise<void>((resolve) => other.once('error', () => resolve()).listen(4318, '127.0.0.1', resolve))
    onTestFinished(() => void other.close())
    return (await spanbridge(['--quiet', '--state-dir', temporaryDirectory()], LINE)).stderr
  },
  'receives OTLP itself': async () => {
    const port = await freePort()
    const args = ['--otlp-http-listen', `127.0.0.1:${port}`, '--otlp-endpoint', `http://localhost:${port}`]
    return (await spanbridge(['--quiet', '--state-dir', temporaryDirectory(), ...args], LINE)).stderr
  },
  'metrics came by OTLP': async () => {
    const port = await freePort()
    const running = startBridge([
      '--quiet',
      '--state-dir',
      temporaryDirectory(),
      '--otlp-http-listen',
      `127.0.0.1:${port}`,
    ])
    const headers = { 'content-type': 'application/x-protobuf' }
    const send = (): Promise<number> =>
      fetch(`http://127.0.0.1:${port}/v1/metrics`, { method: 'POST', headers }).then(
        ({ status }) => status,
        () => 0,
      )
    await expect.poll(send, { timeout: 20_000 }).toBe(200)
    running.child.stdin.end()
    return (await running.finished).stderr
  },
  'cannot be written': () => onFullDisk(),
  'kept in memory only: lost': () => onFullDisk(),
  'no journal can be kept in': async () =>
    (await spanbridge(['--quiet', '--state-dir', '/proc/spanbridge'], LINE)).stderr,
  'holds it, and delivers it itself': async () => {
    const stateDir = temporaryDirectory()
    const running = startBridge(['--quiet', '--state-dir', stateDir, '--run-name', 'held', ...at(await nobody())])
    running.child.stdin.write(LINE)
    await expect.poll(async () => (await statusOf(stateDir))[0]?.points, { timeout: 20_000 }).toBe(1)
    return (await spanbridge(['sync', 'held', '--state-dir', stateDir, ...at(await nobody())])).stderr
  },
  'taking up the run': async () => {
    const stateDir = temporaryDirectory()
    const away = await nobody()
    const args = ['--quiet', '--state-dir', stateDir, '--shutdown-deadline', '1s', ...at(away)]
    await spanbridge(args, LINE)
    const running = startBridge(args)
    await running.seen('taking up the run')
    running.child.kill('SIGKILL')
    return (await running.finished).stderr
  },
  'no line was an event': async () =>
    (await spanbridge(['--quiet', '--state-dir', temporaryDirectory()], 'epoch 1 loss 0.5\n')).stderr,
  'wait in': async () => {
    const args = ['--quiet', '--state-dir', temporaryDirectory(), '--shutdown-deadline', '1s', ...at(await nobody())]
    const { code, stderr } = await spanbridge(args, many(2))
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/2 points wait in .*\.sqlite; to deliver them later: .*sync /),
    ])
    return stderr
  },
  'is damaged': async () => {
    const stateDir = temporaryDirectory()
    const running = startBridge(['--quiet', '--state-dir', stateDir, '--shutdown-deadline', '1s'])
    // More than SQLite keeps in its write-ahead log: what is overwritten is not put right at the end.
    running.child.stdin.write(many(700_000))
    await expect.poll(async () => (await statusOf(stateDir))[0]?.points, { timeout: 20_000 }).toBe(700_000)
    const [run] = await statusOf(stateDir)
    const file = openSync(run!.journal, 'r+')
    const { size } = fstatSync(file)
    writeSync(file, Buffer.alloc(size, 7), 0, size, 0)
    closeSync(file)
    running.child.stdin.end(many(3))
    return (await running.finished).stderr
  },
  'this page needs its token': async () => {
    const { running, ...place } = await startWithPage(['run'])
    const { body } = await get(place, '/', { bare: true })
    running.child.kill('SIGKILL')
    return body.toString()
  },
  'there is no page': async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void other.close())
    const { port } = other.address() as AddressInfo
    const args = ['--quiet', '--state-dir', temporaryDirectory(), '--web-listen', `127.0.0.1:${port}`]
    const running = startBridge(args)
    running.child.stdin.write(LINE)
    await running.seen('there is no page')
    running.child.stdin.end()
    return (await running.finished).stderr
  },
  'the page is not built': async () => (await get(await serve(temporaryDirectory()), '/')).body.toString(),
  'the next request starts it anew': async () => {
    const fault = join(temporaryDirectory(), 'fault.mjs')
    writeFileSync(
      fault,
      // Once: on a slow machine a thread may take longer to begin than it would live.
      `import { existsSync, writeFileSync } from 'node:fs'
import { threadName } from 'node:worker_threads'
if (threadName === 'web' && !existsSync('${fault}.seen')) {
  writeFileSync('${fault}.seen', '')
  setTimeout(() => { throw new Error('a fault from outside') }, 500)
}
`,
    )
    const options = { env: { NODE_OPTIONS: `--import ${fault}` } }
    const { running, ...place } = await startWithPage(['run'], temporaryDirectory(), options)
    const live = listen(place, '')
    await running.seen('the next request starts it anew')
    await until(() => live.state.isClosed)
    running.child.stdin.write(LINE)
    await until(async () => (await get(place, '/api/v1/state')).json.runs[0]?.points === 1)
    running.child.stdin.end()
    const { code, stdout, stderr } = await running.finished
    expect([code, stdout.toString()]).toEqual([0, LINE])
    return stderr
  },
  'the delivery thread has ended': async () => {
    // A fault of ours is not to be had on demand: this one is put into the thread from outside.
    const fault = join(temporaryDirectory(), 'fault.mjs')
    writeFileSync(
      fault,
      "import { isMainThread } from 'node:worker_threads'\nif (!isMainThread) setTimeout(() => { throw new Error('a fault from outside') }, 500)\n",
    )
    const running = startBridge(['--state-dir', temporaryDirectory()], { env: { NODE_OPTIONS: `--import ${fault}` } })
    running.child.stdin.write(LINE)
    await running.seen('the delivery thread has ended')
    running.child.stdin.end('more\n')
    const { code, stdout, stderr } = await running.finished
    expect([code, stdout.toString()]).toEqual([1, `${LINE}more\n`])
    return stderr
  },
}

/** The system takes no file beyond 300 KB from us, as a full disk does. */
async function onFullDisk(): Promise<string> {
  const command = `ulimit -f 600; exec '${SPANBRIDGE}' --quiet --shutdown-deadline 1s --state-dir '${temporaryDirectory()}'`
  const running = start('sh', ['-c', command])
  running.child.stdin.end(many(20_000))
  return (await running.finished).stderr
}

const runbook = readFileSync(new URL('../../runbook.md', import.meta.url), 'utf8')
const [, table] = /\| words \| cause \| cure \|\n\| --- \| --- \| --- \|\n((?:\|.*\n)+)/.exec(runbook)!
const rows = table!
  .trimEnd()
  .split('\n')
  .map((row) => /^\| `([^`]+)` \|/.exec(row)![1]!)

it('every line of the table of words has a way to provoke it here, and the other way round', () => {
  expect([...rows].sort()).toEqual(Object.keys(PROVOKED).sort())
})

it.each(rows)('"%s" is what is said when that happens', { timeout: 90_000 }, async (words) => {
  expect(await PROVOKED[words]!(words)).toContain(words)
})
