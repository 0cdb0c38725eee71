import { lstatSync, readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { systemClock } from '../../src/delivery/clock.ts'
import { wantJournal } from '../../src/delivery/run.ts'
import { filesOf } from '../support/canaries.ts'
import { daemon, ended, post, traceOf } from '../support/otlp-daemon.ts'
import { SPANBRIDGE, spanbridge, start, statusOf, temporaryDirectory } from '../support/spanbridge.ts'

/** Permissions of everything below a directory, in octal, by its path there. */
const modesOf = (directory: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(directory, { recursive: true, encoding: 'utf8' }).map((path) => [
      path.replace(/[0-9A-Z]{26}/, 'RUN').replace(/\d+\.json/, 'PID.json'),
      (lstatSync(join(directory, path)).mode & 0o777).toString(8),
    ]),
  )

it('nobody else can read what is kept, whatever the umask lets others do', async () => {
  const directory = temporaryDirectory()
  const stateDir = join(directory, 'new', 'state')
  const command = `umask 0; exec '${SPANBRIDGE}' --quiet --state-dir '${stateDir}'`
  const running = start('sh', ['-c', command])
  running.child.stdin.write('{"step":1,"loss":1}\n')
  await expect.poll(async () => (await statusOf(stateDir))[0]?.points, { timeout: 20_000 }).toBe(1)
  const umask = process.umask(0)
  onTestFinished(() => void process.umask(umask))
  const [run] = await statusOf(stateDir)
  const wanted = wantJournal(run!.journal, systemClock)
  await expect.poll(() => Object.keys(modesOf(directory))).toContain('new/state/RUN.want')
  const modes = modesOf(directory)
  expect(modes).toMatchObject({
    new: '700',
    'new/state': '700',
    'new/state/daemons': '700',
    'new/state/daemons/PID.json': '600',
    'new/state/RUN.sqlite': '600',
    'new/state/RUN.sqlite-wal': '600',
    'new/state/RUN.sqlite-shm': '600',
    'new/state/RUN.lock': '600',
    'new/state/RUN.want': '600',
  })
  expect(Object.values(modes).filter((mode) => mode !== '600' && mode !== '700')).toEqual([])
  running.child.stdin.end()
  await running.finished
  const { journal, lock } = await wanted
  journal.close()
  lock.release()
})

const HOSTILE = ['../../evil', '/tmp/spanbridge-evil', '..', 'a/../../../b', '.\0./x', '~/evil', 'x'.repeat(5000)]

it('no name from outside becomes the name of a file', async () => {
  const directory = temporaryDirectory()
  const stateDir = join(directory, 'a', 'b', 'state')
  const { running, url } = await daemon(['--runs-accept-ids'], stateDir)
  for (const [i, name] of HOSTILE.entries())
    for (const attribute of ['service.name', 'spanbridge.run', 'mlflow.run_id'])
      expect(await post(url, traceOf(i + 1, [[i + 1, 0, { step: 1, [name]: 1 }]], { [attribute]: name }))).toBe(200)
  await ended(running)
  const flags = ['--state-dir', stateDir, '--quiet']
  const runs = HOSTILE.filter((text) => !text.includes('\0')).map(async (name) =>
    spanbridge([...flags, '--run-name', name], `{"step":1,"${name}":1}\n`),
  )
  expect((await Promise.all(runs)).map(({ code }) => code)).toEqual(runs.map(() => 0))
  expect((await spanbridge([...flags, '--resume=../../evil.sqlite'])).code).toBe(2)
  expect((await spanbridge(['sync', '../../none', ...flags, '--mlflow-tracking-uri', 'http://127.0.0.1:9'])).code).toBe(
    2,
  )
  const names = filesOf(directory).map(([path]) => relative(stateDir, path))
  expect(names.length).toBeGreaterThan(HOSTILE.length)
  expect(names.filter((name) => !/^[0-9A-Z]{26}\.(?:sqlite|lock)(?:-\w+)?$/.test(name))).toEqual([])
})
