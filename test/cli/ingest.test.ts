import { appendFileSync, copyFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { expect, it } from 'vitest'
import { ingestFiles } from '../../src/cli/ingest.ts'
import { readStateDir } from '../../src/journal/status.ts'
import { expectConserved } from '../support/account.ts'
import { SETTINGS } from '../support/delivery-thread.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'
import { storedSteps } from '../support/stored-steps.ts'

const line = (step: number): string => `{"step":${step},"loss":${step / 8}}\n`
const lines = (from: number, to: number): string => Array.from({ length: to - from }, (_, i) => line(from + i)).join('')
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i)

/** Files in a directory of their own, and the runs that are made of them. */
class Place {
  readonly directory = temporaryDirectory()
  readonly stateDir = join(this.directory, 'state')
  readonly said: string[] = []

  write(name: string, text: string): void {
    writeFileSync(join(this.directory, name), text)
  }

  append(name: string, text: string): void {
    appendFileSync(join(this.directory, name), text)
  }

  ingest(...paths: string[]): Promise<string> {
    const { directory, stateDir } = this
    const say = (text: string): void => void this.said.push(text)
    return ingestFiles(paths, { settings: SETTINGS, stateDir, directory, command: 'spanbridge', say })
  }

  get runs() {
    return readStateDir(this.stateDir).runs
  }

  get steps(): number[] {
    return storedSteps(this.stateDir).sort((a, b) => a - b)
  }
}

it('a finished file becomes a run that has ended, once; a grown one goes on', async () => {
  const place = new Place()
  place.write('train.jsonl', lines(0, 20_000))
  const run = await place.ingest('train.jsonl')
  expect(place.runs).toMatchObject([{ run, name: 'train', status: 'finished', points: 20_000, isHeld: false }])
  const endedAt = place.runs[0]!.endedAt!
  expect(Date.now() - endedAt).toBeGreaterThanOrEqual(0)
  expect(await place.ingest('./train.jsonl')).toBe(run)
  expect(place.runs[0]).toMatchObject({ points: 20_000, endedAt })
  place.append('train.jsonl', lines(20_000, 20_003))
  expect(await place.ingest('train.jsonl')).toBe(run)
  expect(place.steps).toEqual(range(0, 20_003))
  expect(place.runs).toHaveLength(1)
  expectConserved(place.runs[0]!)
})

it('several files are one run, and other sets of them other runs', async () => {
  const place = new Place()
  place.write('a.jsonl', lines(0, 3))
  place.write('b.jsonl', lines(10, 13) + line(13).trimEnd())
  const both = await place.ingest('a.jsonl', 'b.jsonl')
  expect(await place.ingest('b.jsonl', 'a.jsonl')).toBe(both)
  const one = await place.ingest('a.jsonl')
  expect(one).not.toBe(both)
  expect(place.runs.map(({ points }) => points)).toEqual([7, 3])
})

it('a file that was copied elsewhere and back is the same, one with other lines is another run', async () => {
  const place = new Place()
  place.write('a.jsonl', lines(0, 300))
  const run = await place.ingest('a.jsonl')
  copyFileSync(join(place.directory, 'a.jsonl'), join(place.directory, 'b.jsonl'))
  renameSync(join(place.directory, 'b.jsonl'), join(place.directory, 'a.jsonl'))
  expect(await place.ingest('a.jsonl')).toBe(run)
  place.append('a.jsonl', line(300))
  expect(await place.ingest('a.jsonl')).toBe(run)
  place.write('a.jsonl', lines(1000, 1400))
  const other = await place.ingest('a.jsonl')
  expect(other).not.toBe(run)
  expect(await place.ingest('a.jsonl')).toBe(other)
  expect(place.runs.map(({ points }) => points)).toEqual([301, 400])
})

it('a table that was written anew with a column more is the same run', async () => {
  const place = new Place()
  place.write('metrics.csv', 'step,loss\n1,0.5\n2,0.25\n')
  const run = await place.ingest('metrics.csv')
  place.write('metrics.csv', 'lr,step,loss\n,1,0.5\n,2,0.25\n0.1,3,0.125\n')
  expect(await place.ingest('metrics.csv')).toBe(run)
  expect(place.steps).toEqual([1, 2, 3, 3])
  place.write('metrics.csv', 'step,loss\n1,0.75\n2,0.25\n')
  expect(await place.ingest('metrics.csv')).not.toBe(run)
})

it('a last line that is torn does not make the same file another one', async () => {
  const place = new Place()
  place.write('a.jsonl', line(1) + line(2).slice(0, 9))
  const run = await place.ingest('a.jsonl')
  expect(await place.ingest('a.jsonl')).toBe(run)
  expect(place.runs[0]).toMatchObject({ points: 1, notEvents: { torn: 1 } })
})

it.each([
  ['train.jsonl.gz', gzipSync('{}'), 'bytes packed by gzip; to have them: gunzip -k'],
  ['train', gzipSync('{}'), 'bytes packed by gzip; to have them: gunzip -c <'],
  ['t.jsonl.zst', Buffer.from('28b52ffd2001', 'hex'), 'bytes packed by zstd; to have them: unzstd -k'],
  ['t.jsonl', Buffer.from('\u{FEFF}{"step":1}\n', 'utf16le'), 'a text in UTF-16; to have them: iconv -f UTF-16 -t'],
  ['t.jsonl', Buffer.from('{"step":1}\n', 'utf16le'), 'a text in UTF-16; to have them: iconv -f UTF-16LE'],
])('%s, where it holds no lines of UTF-8, is refused with what makes lines of it', async (name, bytes, words) => {
  const place = new Place()
  writeFileSync(join(place.directory, name), bytes)
  await expect(place.ingest(name)).rejects.toThrow(`${name} is not read: expected lines of UTF-8, got ${words}`)
  expect(place.runs).toEqual([])
})

it('a text that begins with the mark of Windows is read whole', async () => {
  const place = new Place()
  place.write('t.jsonl', `\u{FEFF}${lines(0, 3)}`)
  await place.ingest('t.jsonl')
  expect(place.steps).toEqual([0, 1, 2])
})

it('what is no file is refused', async () => {
  const place = new Place()
  const { directory } = place
  await expect(place.ingest('a.jsonl')).rejects.toThrow(
    `expected a file, got '${directory}/a.jsonl', which is not there`,
  )
  await expect(place.ingest('.')).rejects.toThrow(`expected a file, got '${directory}', which is no regular file`)
})

it.each([
  ['sb3.json', [2048, 4096, 6144, 8192, 10_240], 5 * 5 + 4 * 4 + 1],
  ['sb3-5.csv', [2048, 4096, 6144, 8192, 10_240], 5 * 5 + 4 * 4 + 1],
  ['keras.csv', [0, 1, 2, 3], 4 * 5],
  ['lightning-8.csv', [0, 1, 2, 3, 4, 5], 8 * 2],
  ['trainer_state.json', [5, 10, 15, 20], 26],
  ['hf-printed.txt', [], 0],
])('what frameworks write is read with its steps: %s', async (name, steps, points) => {
  const place = new Place()
  copyFileSync(new URL(`../fixtures/presets/${name}`, import.meta.url), join(place.directory, name))
  const run = await place.ingest(name)
  expect([...new Set(place.steps)]).toEqual(steps)
  expect(place.runs[0]).toMatchObject({ points, skipped: { no_step: points === 0 ? 4 * 4 + 2 * 3 + 3 : 0 } })
  expect(await place.ingest(name)).toBe(run)
  expect(place.runs[0]).toMatchObject({ points })
  expectConserved(place.runs[0]!)
})
