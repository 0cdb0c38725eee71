import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { sampleFile } from '../../src/config/sample.ts'
import { fixture } from '../support/fixtures.ts'
import { spanbridge, start, statusOf, temporaryDirectory } from '../support/spanbridge.ts'

const root = new URL('../../', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8')

it('ten lines of Python read the journal, as docs/journal.md says', async () => {
  const stateDir = temporaryDirectory()
  const { bytes, expected } = fixture('rust-lines/nested-default.jsonl')
  await spanbridge(['--quiet', '--state-dir', stateDir], bytes)
  const [run] = await statusOf(stateDir)
  const snippet = /```python\n(.*?)```/s.exec(read('docs/journal.md'))![1]!
  expect(
    snippet
      .trimEnd()
      .split('\n')
      .filter((line) => line !== '').length,
  ).toBeLessThanOrEqual(10)
  const { code, stdout, stderr } = await start(fileURLToPath(new URL('.venv/bin/python', root)), [
    '-c',
    snippet,
    run!.journal,
  ]).finished
  expect(code, stderr).toBe(0)
  const rows = stdout
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => line.split(' '))
  expect(rows.map(([sequence]) => Number(sequence))).toEqual(rows.map((_, i) => i + 1))
  const sorted = (points: readonly (readonly [string, number, number])[]): string[] =>
    points.map((point) => JSON.stringify(point)).sort()
  expect(sorted(rows.map(([, key, step, , value]) => [key!, Number(step), Number(value)]))).toEqual(
    sorted(expected.points.map(({ key, step, value }) => [key, step, value])),
  )
})

it('config/spanbridge.yaml shows every setting as it is', () => {
  expect(read('config/spanbridge.yaml')).toBe(sampleFile())
})

it('the demo ends with an account in which no number is missing', async () => {
  const stateDir = temporaryDirectory()
  const { code, stderr } = await spanbridge([
    'exec',
    '--state-dir',
    stateDir,
    '--',
    process.execPath,
    fileURLToPath(new URL('examples/ppo.ts', root)),
    '1',
  ])
  expect(code).toBe(0)
  expect(stderr).toMatch(
    /run ppo .* finished: 3,089 numbers in 1,014 events and 600 spans = 3,080 points \+ skipped \(9 config\)/,
  )
  const [run] = await statusOf(stateDir)
  expect(run).toMatchObject({ journaled: { points: 3080 }, skipped: { config: 9, no_step: 0 }, notEvents: { text: 1 } })
})
