import { describe, expect, it } from 'vitest'
import { expectConserved } from '../support/account.ts'
import { FakeMlflow, type Fault } from '../support/fake-mlflow.ts'
import { spanbridge, startBridge, statusOf, temporaryDirectory } from '../support/spanbridge.ts'

const lines = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, i) => `{"category":"TRAINER","step":${from + i},"loss":${i / 8}}\n`).join('')

describe('the end', () => {
  it('is over at once at the second signal, with all that is left in the journal', async () => {
    const fake = await FakeMlflow.start()
    fake.fault = () => true
    const stateDir = temporaryDirectory()
    const running = startBridge([
      '--quiet',
      '--state-dir',
      stateDir,
      '--shutdown-deadline',
      '10m',
      '--mlflow-tracking-uri',
      fake.url,
    ])
    running.child.stdin.end(lines(0, 100))
    await expect.poll(async () => (await statusOf(stateDir))[0]?.status, { timeout: 20_000 }).toBe('finished')
    running.child.kill('SIGTERM')
    const from = performance.now()
    running.child.kill('SIGINT')
    const { code, stderr } = await running.finished
    expect(performance.now() - from).toBeLessThan(5000)
    expect([code, stderr]).toEqual([1, expect.stringContaining('100 points wait in')])
    const [run] = await statusOf(stateDir)
    expectConserved(run!)
    expect(run!.journaled.points).toBe(100)
  })

  it('waits under --wait for as long as it takes', async () => {
    const fake = await FakeMlflow.start()
    await fake.close()
    const stateDir = temporaryDirectory()
    const running = startBridge([
      '--quiet',
      '--wait',
      '--shutdown-deadline',
      '100ms',
      '--state-dir',
      stateDir,
      '--mlflow-tracking-uri',
      fake.url,
    ])
    running.child.stdin.end(lines(0, 100))
    await running.seen('is not there (connection refused)')
    await expect.poll(async () => (await statusOf(stateDir))[0]?.status, { timeout: 20_000 }).toBe('finished')
    await fake.listen()
    expect((await running.finished).code).toBe(0)
    expect(fake.points.size).toBe(100)
    expect(fake.runs.get('run0')!.info).toMatchObject({ status: 'FINISHED' })
  })

  it('is complete without a destination', async () => {
    const stateDir = temporaryDirectory()
    const { code, stderr } = await spanbridge(['--quiet', '--state-dir', stateDir], lines(0, 10))
    expect([code, stderr]).toEqual([0, expect.stringContaining('journal ')])
    expectConserved((await statusOf(stateDir))[0]!)
  })
})

describe('a run that another process holds', () => {
  it('is left to it by sync, which names the process and exits 1', async () => {
    const fake = await FakeMlflow.start()
    const stateDir = temporaryDirectory()
    const running = startBridge(['--quiet', '--state-dir', stateDir])
    running.child.stdin.write(lines(0, 10))
    await expect.poll(async () => (await statusOf(stateDir))[0]?.points, { timeout: 20_000 }).toBe(10)
    const [run] = await statusOf(stateDir)
    const { code, stderr } = await spanbridge([
      'sync',
      run!.run,
      '--state-dir',
      stateDir,
      '--mlflow-tracking-uri',
      fake.url,
    ])
    expect([code, stderr]).toEqual([1, expect.stringContaining(`process ${running.child.pid} holds it`)])
    running.child.stdin.end()
    expect((await running.finished).code).toBe(0)
  })
})

describe('a server that fails in its own way is named in one line, and has everything when it is mended:', () => {
  const html = '<!doctype html><html><body><h1>Welcome to nginx!</h1></body></html>'
  const faults: [what: string, words: string, fault: Fault][] = [
    [
      '401',
      'asks for credentials (401)',
      (_request, response) => (response.writeHead(401).end('<html>no</html>'), true),
    ],
    [
      '403 of the Host check',
      'forbids it (403, Invalid Host header',
      (_request, response) => (
        response
          .writeHead(403, { 'content-type': 'text/plain' })
          .end('Invalid Host header - possible DNS rebinding attack detected'),
        true
      ),
    ],
    [
      'rights withdrawn',
      'the user lacks the rights',
      (_request, response) => (
        response.writeHead(403).end('{"error_code":"PERMISSION_DENIED","message":"Permission denied"}'),
        true
      ),
    ],
    [
      'a page instead of JSON',
      'does not answer like MLflow (200, Welcome to nginx!)',
      (_request, response) => (response.writeHead(200).end(html), true),
    ],
    [
      'an experiment that is not there',
      'RESOURCE_DOES_NOT_EXIST',
      (_request, response) => (
        response
          .writeHead(404)
          .end('{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"No Experiment with id=77 exists"}'),
        true
      ),
    ],
    [
      'a locked database',
      'cannot take it now (503',
      (_request, response) => (
        response.writeHead(503).end('{"error_code":"TEMPORARILY_UNAVAILABLE","message":"database is locked"}'),
        true
      ),
    ],
    ['a hang', 'has not answered yet', () => true],
    [
      'a byte a second',
      'has not answered yet',
      (_request, response) => {
        response.writeHead(200, { 'content-length': '1000' })
        const timer = setInterval(() => response.write(' '), 1000)
        response.on('close', () => clearInterval(timer))
        return true
      },
    ],
  ]
  for (const [what, words, fault] of faults) {
    it(what, async () => {
      const fake = await FakeMlflow.start()
      fake.fault = fault
      const stateDir = temporaryDirectory()
      const running = startBridge(['--quiet', '--state-dir', stateDir, '--mlflow-tracking-uri', fake.url])
      running.child.stdin.write(lines(0, 60))
      await running.seen(words)
      const [suspended] = await statusOf(stateDir)
      expect(suspended!.destinations[0]!.lastError).toContain(words)
      fake.fault = () => false
      fake.dropConnections()
      await expect
        .poll(async () => (await statusOf(stateDir))[0]?.destinations[0]?.points.delivered, { timeout: 45_000 })
        .toBe(60)
      running.child.stdin.end()
      const { code, stderr } = await running.finished
      expect(code, stderr).toBe(0)
      expect(stderr.split('\n').filter((text) => text.includes(words))).toHaveLength(1)
      expect([fake.points.size, fake.repeats, fake.runs.size]).toEqual([60, 0, 1])
      expectConserved((await statusOf(stateDir))[0]!)
    })
  }
})
