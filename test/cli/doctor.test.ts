import { createServer as createHttpServer, type RequestListener, type Server as HttpServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest'
import type { HopResult } from '../../src/doctor/hop.ts'
import { certificate } from '../support/certificate.ts'
import { FakeMlflow, type Fault } from '../support/fake-mlflow.ts'
import { freePort, MlflowApi, startMlflow, type MlflowServer } from '../support/mlflow.ts'
import { Proxy } from '../support/proxy.ts'
import { spanbridge, start, startBridge, temporaryDirectory } from '../support/spanbridge.ts'

const NAMES = [
  'configuration',
  'state directory',
  'tracking URI',
  'name',
  'port',
  'HTTP',
  'MLflow',
  'Host check',
  'credentials',
  'experiment',
  'probe run',
  'traces',
  'clock',
]

/** What `doctor` is given. */
interface Stage {
  args?: string[]
  env?: Record<string, string>
}

interface Report {
  code: number | null
  text: string
  /** The lines of each hop, by its name. */
  lines: ReadonlyMap<string, string>
}

/** Runs the real process, and takes what it prints apart. */
async function doctor({ args = [], env = {} }: Stage): Promise<Report> {
  const stateDir = args.includes('--state-dir') ? [] : ['--state-dir', temporaryDirectory()]
  const { code, stdout, stderr } = await spanbridge(['doctor', ...stateDir, ...args], '', { env })
  expect(stderr).toBe('')
  const text = stdout.toString()
  const lines = new Map<string, string>()
  for (const block of text.trimEnd().split(/\n(?! )/)) lines.set(block.slice(9, 25).trim(), block)
  expect([...lines.keys()]).toEqual(NAMES)
  return { code, text, lines }
}

const at = (uri: string, ...args: string[]): Stage => ({ args: ['--mlflow-tracking-uri', uri, ...args] })

/** Listens on a free port of this machine until the test is over. */
async function listen(server: Server | HttpServer): Promise<string> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => void sockets.add(socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A server that does this with each connection. */
const tcp = async (take: (socket: Socket) => void): Promise<Stage> =>
  at(
    `http://${await listen(
      createServer((socket) => {
        socket.on('error', () => {})
        take(socket)
      }),
    )}`,
  )

const web = async (answer: RequestListener): Promise<Stage> => at(`http://${await listen(createHttpServer(answer))}`)

const experiment = { experiment_id: '0', name: 'Default', lifecycle_stage: 'active' }

/** A stand-in for MLflow with a fault. */
async function fake(fault: Fault): Promise<FakeMlflow> {
  const server = await FakeMlflow.start()
  server.fault = async (request, response, socket) => {
    if (await fault(request, response, socket)) return true
    if (request.path === '/version') return (response.end('3.17.2'), true)
    if (!request.path.startsWith('experiments/')) return false
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ experiment }))
    return true
  }
  return server
}

const faulty = async (fault: Fault): Promise<Stage> => at((await fake(fault)).url)

const answers =
  (path: string, status: number, body: string, type = 'application/json'): Fault =>
  (request, response) =>
    request.path === path && (response.writeHead(status, { 'content-type': type }).end(body), true)

const real = (): string => inject('mlflowUrl')
const api = (): MlflowApi => new MlflowApi(real())

/** Runs of ours in the real MLflow, by what became of them. */
async function probes(view: 'ACTIVE_ONLY' | 'DELETED_ONLY'): Promise<string[]> {
  const body = { experiment_ids: ['0'], filter: "tags.`spanbridge.doctor` LIKE '%'", run_view_type: view }
  const { runs = [] } = await api().post('runs/search', body)
  return (runs as { info: { run_id: string } }[]).map(({ info }) => info.run_id)
}

const directory = mkdtempSync(join(tmpdir(), 'spanbridge-test-'))
let withUsers: MlflowServer
let withHosts: MlflowServer
beforeAll(async () => {
  ;[withUsers, withHosts] = await Promise.all([
    startWithUsers(),
    startMlflow(undefined, undefined, { args: ['--allowed-hosts', 'mlflow.example.net'] }),
  ])
}, 120_000)
afterAll(async () => {
  await Promise.all([withUsers.stop(), withHosts.stop()])
  rmSync(directory, { recursive: true, force: true })
})

/** A real MLflow with users: a password that is asked for, and a user who may only read. */
async function startWithUsers(): Promise<MlflowServer> {
  const config = join(directory, 'auth.ini')
  const lines = [
    '[mlflow]',
    'default_permission = READ',
    `database_uri = sqlite:///${directory}/auth.db`,
    'admin_username = admin',
    'admin_password = chosen-by-the-tests',
    'authorization_function = mlflow.server.auth:authenticate_request_basic_auth',
  ]
  writeFileSync(config, `${lines.join('\n')}\n`)
  const server = await startMlflow(undefined, undefined, {
    args: ['--app-name', 'basic-auth'],
    env: { MLFLOW_FLASK_SERVER_SECRET_KEY: 'a secret of the tests', MLFLOW_AUTH_CONFIG_PATH: config },
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

const as = (username: string, password: string): Record<string, string> => ({
  MLFLOW_TRACKING_USERNAME: username,
  MLFLOW_TRACKING_PASSWORD: password,
})

async function deletedExperiment(): Promise<string> {
  const { experiment_id: id } = await api().post('experiments/create', { name: `gone ${Date.now()}` })
  await api().post('experiments/delete', { experiment_id: id })
  return id
}

/** A proxy that has the real MLflow below `/mlflow`, and nothing else. */
const belowPath = (): Promise<Stage> =>
  web((request, response) => {
    const [, path] = /^\/mlflow(\/.*)/.exec(request.url!) ?? []
    if (path === undefined) response.writeHead(404).end('Not Found')
    else
      void fetch(`${real()}${path}`).then(async (answer) => response.writeHead(answer.status).end(await answer.text()))
  })

/** Listens, takes nobody in, and has nobody else wait: connections to it time out. */
async function fullQueue(): Promise<Stage> {
  const script = [
    'import socket, sys, time',
    's = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(0)',
    'waiting = [socket.socket() for _ in range(3)]',
    'for w in waiting: w.setblocking(False); w.connect_ex(s.getsockname())',
    'print(s.getsockname()[1], flush=True)',
    'time.sleep(60)',
  ]
  const running = start('python3', ['-c', script.join('\n')])
  await running.seen('\n', 'stdout')
  return at(`http://127.0.0.1:${Buffer.concat(running.output.stdout).toString().trim()}`)
}

interface StagedFault {
  what: string
  stage: () => Promise<Stage> | Stage
  /** The first hop that is broken, with its cause and cure. */
  hop: string
  cause: RegExp
  cure: RegExp
}

const FAULTS: readonly StagedFault[] = [
  {
    what: 'a state directory that is a file',
    stage: () => {
      const path = join(temporaryDirectory(), 'file')
      writeFileSync(path, '')
      return { args: ['--state-dir', path] }
    },
    hop: 'state directory',
    cause: /is a file, not a directory/,
    cure: /move that file away, or set --state-dir/,
  },
  {
    what: 'a state directory below a file',
    stage: () => {
      const path = join(temporaryDirectory(), 'file')
      writeFileSync(path, '')
      return { args: ['--state-dir', join(path, 'state')] }
    },
    hop: 'state directory',
    cause: /\/file is a file, not a directory/,
    cure: /move that file away/,
  },
  {
    what: 'a state directory that cannot be made',
    stage: () => ({ args: ['--state-dir', '/proc/spanbridge'] }),
    hop: 'state directory',
    cause: /cannot be made or written \(ENOENT\)/,
    cure: /set --state-dir/,
  },
  {
    what: 'a host without an address',
    stage: () => at('http://no-such-host.invalid:5000'),
    hop: 'name',
    cause: /no-such-host\.invalid/,
    cure: /spelling in the tracking URI|\/etc\/resolv\.conf/,
  },
  {
    what: 'a tunnel that is down',
    stage: async () => at(`http://127.0.0.1:${await freePort()}`),
    hop: 'port',
    cause: /nothing listens at 127\.0\.0\.1:\d+ on this machine: the tunnel is down/,
    cure: /open the tunnel again from .*\(ssh -N -R \d+:127\.0\.0\.1:5000/,
  },
  {
    what: 'a proxy of the environment that is not there',
    stage: async () => ({
      ...at('http://mlflow.example.net:5000'),
      env: { http_proxy: `http://me:a-proxy-secret@127.0.0.1:${await freePort()}` },
    }),
    hop: 'port',
    cause: /nothing listens at 127\.0\.0\.1:\d+ \(connection refused\)/,
    cure: /the port in the proxy \(http_proxy\)/,
  },
  {
    what: 'a program that takes no more connections',
    stage: fullQueue,
    hop: 'port',
    cause: /at 127\.0\.0\.1:\d+ on this machine takes no more connections: it hangs/,
    cure: /end that program and start it again/,
  },
  {
    what: 'a tunnel that has nothing behind it',
    stage: () => tcp((socket) => socket.destroy()),
    hop: 'HTTP',
    cause: /closes it before a byte: the tunnel is up, nothing is behind it/,
    cure: /start MLflow on the machine that the tunnel leads to/,
  },
  {
    what: 'a tunnel that ends each connection as soon as it has heard us',
    stage: () => tcp((socket) => socket.once('data', () => socket.destroy())),
    hop: 'HTTP',
    cause: /the tunnel is up, nothing is behind it/,
    cure: /start MLflow/,
  },
  {
    what: 'a server that hangs',
    stage: () => tcp(() => {}),
    hop: 'HTTP',
    cause: /has not answered within 3 s: it hangs/,
    cure: /asleep or offline\? Wake it and open the tunnel again; else restart MLflow/,
  },
  {
    what: 'an SSH server at the port',
    stage: () => tcp((socket) => void socket.write('SSH-2.0-OpenSSH_9.9\r\n')),
    hop: 'HTTP',
    cause: /something else answers at 127\.0\.0\.1:\d+, not in HTTP: 'SSH-2\.0-OpenSSH_9\.9'/,
    cure: /look at the port in the tracking URI/,
  },
  {
    what: 'bytes of no protocol',
    stage: () => tcp((socket) => void socket.write(Buffer.from([0, 1, 2, 27, 0x5b, 0x32, 0x4a, 255]))),
    hop: 'HTTP',
    cause: /not in HTTP: '\.\[2J\.'/,
    cure: /look at the port/,
  },
  {
    what: 'https:// to a server of plain HTTP',
    stage: () => at(real().replace('http:', 'https:')),
    hop: 'HTTP',
    cause: /says https:\/\/, the server speaks plain HTTP/,
    cure: /write http:\/\/127\.0\.0\.1:\d+/,
  },
  {
    what: 'http:// to a server of TLS',
    stage: async () => at(`http://${await listen(createTlsServer(certificate()))}`),
    hop: 'HTTP',
    cause: /says http:\/\/, the server speaks TLS/,
    cure: /write https:\/\/127\.0\.0\.1:\d+/,
  },
  {
    what: 'http:// to a server of TLS that says so itself',
    stage: () =>
      web((_request, response) =>
        response.writeHead(400).end('<h1>400</h1>The plain HTTP request was sent to HTTPS port'),
      ),
    hop: 'HTTP',
    cause: /says http:\/\/, the server speaks TLS/,
    cure: /write https:/,
  },
  {
    what: 'a certificate that nobody knows',
    stage: async () => at(`https://${await listen(createTlsServer(certificate()))}`),
    hop: 'HTTP',
    cause: /certificate is not trusted: nobody but the server itself has signed it/,
    cure: /MLFLOW_TRACKING_SERVER_CERT_PATH/,
  },
  {
    what: 'a web server that is no MLflow',
    stage: () =>
      web((_request, response) =>
        response
          .writeHead(404, { 'content-type': 'text/html', server: 'nginx/1.27' })
          .end('<html><head><title>404 Not Found</title></head><body><center>nginx</center></body></html>'),
      ),
    hop: 'MLflow',
    cause: /something else answers at http:\S+, not MLflow \(404, 404 Not Found nginx\)/,
    cure: /host and port of the tracking URI; .* below a path/,
  },
  {
    what: 'a page to log in',
    stage: () => web((_request, response) => response.end('<form><h1>Please sign in</h1></form>')),
    hop: 'MLflow',
    cause: /not MLflow \(200, Please sign in\)/,
    cure: /MLFLOW_TRACKING_TOKEN/,
  },
  {
    what: 'a redirect',
    stage: () =>
      web((_request, response) =>
        response.writeHead(302, { location: 'https://mlflow.example.net/version?token=a-query-secret' }).end(),
      ),
    hop: 'MLflow',
    cause: /sends us elsewhere \(302, to https:\/\/mlflow\.example\.net\/version\?token=\*\*\*\)/,
    cure: /set the tracking URI to where MLflow itself answers: https:\/\/mlflow\.example\.net perhaps/,
  },
  {
    what: 'a server that only fails',
    stage: () => web((_request, response) => response.writeHead(502).end('<h1>502 Bad Gateway</h1>')),
    hop: 'MLflow',
    cause: /502.*502 Bad Gateway/,
    cure: /output of MLflow/,
  },
  {
    what: 'a server that only has internal errors',
    stage: () => web((_request, response) => response.writeHead(500).end('Internal Server Error')),
    hop: 'MLflow',
    cause: /answers with an error of its own \(500, Internal Server Error\)/,
    cure: /look at the output of MLflow/,
  },
  {
    what: 'a path too many in the tracking URI',
    stage: () => at(`${real()}/api/2.0`),
    hop: 'MLflow',
    cause: /API is not at \S+\/api\/2\.0, but at http:\/\/127\.0\.0\.1:\d+$/,
    cure: /set the tracking URI to http:\/\/127\.0\.0\.1:\d+$/m,
  },
  {
    what: 'an MLflow that a proxy has below a path',
    stage: belowPath,
    hop: 'MLflow',
    cause: /API is not at http:\S+:\d+, but at http:\S+:\d+\/mlflow$/,
    cure: /set the tracking URI to http:\S+:\d+\/mlflow$/m,
  },
  {
    what: 'an API below a path that /version is not below',
    stage: () =>
      faulty(({ path }, response) => path !== '/version' && (response.writeHead(404).end('Not Found'), true)),
    hop: 'MLflow',
    cause: /version 3\.17\.2 answers .* its API does not/,
    cure: /--static-prefix: add that path to the tracking URI/,
  },
  {
    what: 'an API that fails while /version answers',
    stage: () =>
      faulty(
        ({ path }, response) => path !== '/version' && (response.writeHead(500).end('Internal Server Error'), true),
      ),
    hop: 'MLflow',
    cause: /a look at its experiments: MLflow cannot take it now \(500, Internal Server Error\)/,
    cure: /look at MLflow's output/,
  },
  {
    what: "MLflow's Host check",
    stage: () => at(withHosts.url),
    hop: 'Host check',
    cause: /does not know itself by the name 127\.0\.0\.1:\d+ \(403, Invalid Host header/,
    cure: /start it with --allowed-hosts '127\.0\.0\.1:\d+,/,
  },
  {
    what: 'no credentials where some are asked for',
    stage: () => at(withUsers.url),
    hop: 'credentials',
    cause: /asks for credentials \(401\), and none are set/,
    cure: /set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD/,
  },
  {
    what: 'a wrong password',
    stage: () => ({ ...at(withUsers.url), env: as('reader', 'a-wrong-password') }),
    hop: 'credentials',
    cause: /does not take the user and password that is set \(401\)/,
    cure: /look at MLFLOW_TRACKING_USERNAME/,
  },
  {
    what: 'a user who may only read',
    stage: () => ({ ...at(withUsers.url), env: as('reader', 'reads-only-1234') }),
    hop: 'probe run',
    cause: /MLflow forbids the making of a run: \(403, Permission denied\)/,
    cure: /have the rights granted to this user/,
  },
  {
    what: 'an experiment that is deleted',
    stage: async () => at(real(), '--mlflow-experiment-id', await deletedExperiment()),
    hop: 'experiment',
    cause: /experiment \d+ \('gone \d+'\) is deleted/,
    cure: /mlflow experiments restore --experiment-id \d+/,
  },
  {
    what: 'an experiment id that nobody has',
    stage: () => at(real(), '--mlflow-experiment-id', '987654'),
    hop: 'experiment',
    cause: /MLflow has no experiment with the id 987654/,
    cure: /look at --mlflow-experiment-id/,
  },
  {
    what: 'a run id that nobody has',
    stage: () => at(real(), '--mlflow-run-id', 'a'.repeat(32)),
    hop: 'experiment',
    cause: /MLflow has no run a{32}/,
    cure: /MLFLOW_RUN_ID/,
  },
  {
    what: 'a database that cannot be written',
    stage: () =>
      faulty(
        answers(
          'runs/log-batch',
          503,
          '{"error_code":"TEMPORARILY_UNAVAILABLE","message":"(sqlite3.OperationalError) attempt to write a readonly database"}',
        ),
      ),
    hop: 'probe run',
    cause: /cannot do a write to a run: its database is read-only/,
    cure: /write to the database file and its directory/,
  },
  {
    what: 'writes that are taken and not to be read',
    stage: () => faulty(answers('runs/log-batch', 200, '{}')),
    hop: 'probe run',
    cause: /has taken metrics and params with 200, and does not show them/,
    cure: /several servers with databases of their own/,
  },
  {
    what: 'a request to make a run that is not answered',
    stage: () => faulty(({ path }) => path === 'runs/create'),
    hop: 'probe run',
    cause: /the making of a run: MLflow does not answer.*may be carried out later, and leave a probe run/,
    cure: /whether its database is locked/,
  },
  {
    what: 'an MLflow that takes no spans',
    stage: () => faulty(answers('/v1/traces', 404, 'Not Found', 'text/html')),
    hop: 'traces',
    cause: /refuses spans \(404, Not Found\): metrics work, this MLflow takes no spans/,
    cure: /since 3\.6.*--no-mlflow-traces/,
  },
  {
    what: 'a collector that is not there',
    stage: async () => at(real(), '--otlp-endpoint', `http://127.0.0.1:${await freePort()}`),
    hop: 'traces',
    cause: /the OTLP destination http:\S+ is not there \(connection refused\)/,
    cure: /look at --otlp-endpoint/,
  },
]

describe('doctor', () => {
  it.each(FAULTS)('finds $what at the hop "$hop", and says how to mend it', async ({ stage, hop, cause, cure }) => {
    const { code, lines, text } = await doctor(await stage())
    const first = NAMES.find((name) => lines.get(name)!.startsWith('broken'))
    expect(first, text).toBe(hop)
    expect(code).toBe(1)
    const [line, ...more] = lines.get(hop)!.split('\n')
    expect(line).toMatch(/^broken {3}.{16} +[\d,]+ ms {2}\S/)
    expect(line).toMatch(cause)
    expect(more.join('\n')).toMatch(/^ {36}cure: /)
    expect(more.join('\n')).toMatch(cure)
    expect(text).not.toMatch(/secret|reads-only-1234|a-wrong-password/)
  })

  it('says ok for every hop to a real MLflow, with the time each took, and leaves no run behind', async () => {
    const stateDir = temporaryDirectory()
    const before = await probes('DELETED_ONLY')
    const { code, lines, text } = await doctor(at(real(), '--state-dir', stateDir))
    expect(code, text).toBe(0)
    for (const line of lines.values()) expect(line).toMatch(/^ok {7}.{16} +[\d,]+ ms {2}\S.*$/)
    expect(lines.get('MLflow')).toMatch(/version \d+\.\d+\.\d+/)
    expect(await probes('ACTIVE_ONLY')).toEqual([])
    expect(await probes('DELETED_ONLY')).toHaveLength(before.length + 1)
    expect(readdirSync(stateDir)).toEqual([])
  })

  it('lets in a user who may write, with credentials that it does not show', async () => {
    const { code, text } = await doctor(at(withUsers.url.replace('//', '//admin:chosen-by-the-tests@')))
    expect(code, text).toBe(0)
    expect(text).toContain('http://***@127.0.0.1')
    expect(text).not.toContain('chosen-by-the-tests')
  })

  it('says without a tracking URI which setting is missing, and exits 0', async () => {
    const { code, lines } = await doctor({})
    expect(code).toBe(0)
    expect(lines.get('tracking URI')).toMatch(
      /^- .* not set: .*\n +cure: set MLFLOW_TRACKING_URI or --mlflow-tracking-uri/,
    )
    for (const name of ['name', 'port', 'HTTP', 'MLflow', 'probe run', 'clock'])
      expect(lines.get(name)).toMatch(/^- +\S.* {2}not reached$/)
  })

  it('exits 2 with every problem of the settings, and looks no further', async () => {
    const { code, lines } = await doctor(at('127.0.0.1:5000', '--mlflow-experiment-id', 'mine'))
    expect(code).toBe(2)
    expect(lines.get('configuration')).toMatch(/^broken .*did you mean http:\/\/127\.0\.0\.1:5000\?\n .*got 'mine'/)
    for (const name of NAMES.slice(1)) expect(lines.get(name)).toMatch(/not reached$/)
  })

  it('prints the same as JSON with --json', async () => {
    const port = await freePort()
    const args = ['doctor', '--json', '--state-dir', temporaryDirectory(), ...at(`http://127.0.0.1:${port}`).args!]
    const { code, stdout } = await spanbridge(args)
    const { hops } = JSON.parse(stdout.toString()) as { hops: HopResult[] }
    expect(code).toBe(1)
    expect(hops.map(({ name }) => name)).toEqual(NAMES)
    expect(hops.map(({ state }) => state)).toEqual([...Array(4).fill('ok'), 'broken', ...Array(8).fill('not reached')])
    expect(hops[4]).toEqual({
      name: 'port',
      state: 'broken',
      ms: expect.any(Number),
      detail: `nothing listens at 127.0.0.1:${port} on this machine: the tunnel is down`,
      cure: expect.stringContaining('open the tunnel again'),
    })
    expect(hops[5]).toEqual({ name: 'HTTP', state: 'not reached', ms: null, detail: 'not reached', cure: null })
  })

  it('tells a full or foreign state directory and a closed tunnel in one go', async () => {
    const { lines } = await doctor(at(`http://127.0.0.1:${await freePort()}`, '--state-dir', '/proc/spanbridge'))
    expect([lines.get('state directory'), lines.get('port')]).toEqual([
      expect.stringMatching(/^broken/),
      expect.stringMatching(/^broken/),
    ])
  })

  it('warns of a clock that is an hour off, and exits 0', async () => {
    const { code, lines, text } = await doctor(
      await faulty((_request, response) => (response.setHeader('date', hourAgo()), false)),
    )
    expect(code, text).toBe(0)
    expect(lines.get('clock')).toMatch(/^warning .* 3,(?:599|60\d) s ahead of that of the server\n +cure: .*NTP/)
  })

  it('warns of a state directory that others can look into', async () => {
    const stateDir = temporaryDirectory()
    chmodSync(stateDir, 0o755)
    const { code, lines } = await doctor({ args: ['--state-dir', stateDir] })
    expect(code).toBe(0)
    expect(lines.get('state directory')).toMatch(/^warning .*open to other users \(mode 755\)\n +cure: chmod 700/)
  })

  it('makes no state directory', async () => {
    const above = temporaryDirectory()
    const { lines } = await doctor({ args: ['--state-dir', join(above, 'a/b')] })
    expect(lines.get('state directory')).toMatch(/^ok .*made by the first run/)
    expect(readdirSync(above)).toEqual([])
  })

  it('warns of a proxy that takes 127.0.0.1 for itself, and goes past it with no_proxy', async () => {
    const env = { http_proxy: `127.0.0.1:${await freePort()}` }
    const { code, lines } = await doctor({ ...at(real()), env })
    expect(code).toBe(1)
    expect(lines.get('tracking URI')).toMatch(/^warning .*by way of the proxy .*\n +cure: set no_proxy=127\.0\.0\.1/)
    expect((await doctor({ ...at(real()), env: { ...env, no_proxy: '127.0.0.1' } })).code).toBe(0)
  })

  it('makes no experiment, and tries the default one where that of the settings is not there yet', async () => {
    const name = `new ${Date.now()}`
    const { code, lines } = await doctor(at(real(), '--mlflow-experiment-name', name))
    expect(code).toBe(0)
    expect(lines.get('experiment')).toContain(`'${name}' is not there yet: the first run makes it`)
    await expect(api().get('experiments/get-by-name', { experiment_name: name })).rejects.toThrow('404')
  })

  it('deletes the probe run also when its writing fails', async () => {
    const server = await fake(answers('runs/log-batch', 500, 'Internal Server Error', 'text/html'))
    expect((await doctor(at(server.url))).code).toBe(1)
    expect([...server.runs.values()].map(({ info }) => info.lifecycle_stage)).toEqual(['deleted'])
  })

  it('deletes the probe run also when the answer to its making is lost', async () => {
    const proxy = await Proxy.start(real())
    onTestFinished(() => proxy.stop())
    proxy.treat = (path) => (path === 'runs/create' ? 'swallow' : 'pass')
    const before = await probes('DELETED_ONLY')
    const { code, lines } = await doctor(at(proxy.url))
    expect(code).toBe(1)
    expect(lines.get('probe run')).toMatch(/^broken .*the making of a run/)
    expect(await probes('ACTIVE_ONLY')).toEqual([])
    expect(await probes('DELETED_ONLY')).toHaveLength(before.length + 1)
  })

  it('deletes the probe run also when the user presses Ctrl-C', async () => {
    const held = Promise.withResolvers<void>()
    const server = await fake(({ path }) => path === 'runs/log-batch' && (held.resolve(), true))
    const running = startBridge(['doctor', '--state-dir', temporaryDirectory(), ...at(server.url).args!])
    await held.promise
    running.child.kill('SIGINT')
    expect((await running.finished).code).toBe(130)
    expect([...server.runs.values()].map(({ info }) => info.lifecycle_stage)).toEqual(['deleted'])
  })

  it('warns of a probe run that MLflow does not delete, by its id', async () => {
    const { code, lines } = await doctor(await faulty(answers('runs/delete', 500, 'no', 'text/plain')))
    expect(code).toBe(0)
    expect(lines.get('probe run')).toMatch(
      /^warning .*the probe run run0 could not be deleted\n +cure: delete it in MLflow/,
    )
  })

  it('sends spans to a collector where one is set, also without a tracking URI', async () => {
    const seen: string[] = []
    const host = await listen(
      createHttpServer((request, response) => {
        seen.push(`${request.url} ${String(request.headers['x-key'])}`)
        request.resume().on('end', () => response.end())
      }),
    )
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://${host}`, OTEL_EXPORTER_OTLP_HEADERS: 'x-key=a-header-secret' }
    const { code, lines, text } = await doctor({ env })
    expect(code, text).toBe(0)
    expect(lines.get('traces')).toMatch(/^ok .*takes spans/)
    expect(seen).toEqual(['/v1/traces a-header-secret'])
    expect(text).not.toContain('secret')
  })

  it('takes the address at which Spanbridge receives spans for no fault', async () => {
    const port = await freePort()
    const { code, lines } = await doctor({
      ...at(real(), '--otlp-http-listen', `127.0.0.1:${port}`),
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: `http://localhost:${port}` },
    })
    expect(code).toBe(0)
    expect(lines.get('traces')).toMatch(/^warning .*where Spanbridge itself receives spans\n +cure: unset OTEL_/)
  })

  it('does not show a password that a server repeats', async () => {
    const echo: RequestListener = (request, response) => response.end(`you are ${request.headers['authorization']}`)
    const { text } = await doctor({ ...(await web(echo)), env: { MLFLOW_TRACKING_TOKEN: 'tok-1234567890' } })
    expect(text).toContain('you are Bearer ***')
    expect(text).not.toContain('tok-1234567890')
  })
})

const hourAgo = (): string => new Date(Date.now() - 3_600_000).toUTCString()
