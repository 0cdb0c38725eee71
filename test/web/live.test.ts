import { rmSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, it, onTestFinished } from 'vitest'
import { FilledJournal } from '../support/filled-journal.ts'
import { expectFits } from '../support/openapi.ts'
import { get, listen, serve, TOKEN } from '../support/page.ts'
import { until } from '../support/served.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

async function withRun() {
  const stateDir = temporaryDirectory()
  const filled = new FilledJournal({ run: '01A' }, join(stateDir, '01A.sqlite'))
  filled.points([{ key: 'loss', step: 1, value: 1 }])
  return { stateDir, filled, ...(await serve(stateDir)) }
}

const times = (n: number, key = 'loss', from = 2) =>
  Array.from({ length: n }, (_, i) => ({ key, step: from + i, value: i }))

it('says hello first, then what changes: accounts of all runs, points of those that are asked for', async () => {
  const { filled, stateDir, ...place } = await withRun()
  const live = listen(place, '?run=01A&after=1')
  await until(() => live.of('hello').length)
  expect(live.heard[0]).toMatchObject({ name: 'hello', data: { version: '1.2.3', pid: process.pid } })
  filled.points([
    { key: 'loss', step: 2, time: 5, value: Number.NaN },
    { key: 'new', step: 9, time: 6, value: 2 },
  ])
  new FilledJournal({ run: '01B' }, join(stateDir, '01B.sqlite')).points([{ step: 1 }])
  await until(() => live.of('points').length)
  const [{ data, id }] = live.of('points') as [any]
  expect(id).toBe('3:0')
  expect(data).toMatchObject({
    run: '01A',
    upTo: 3,
    series: [
      { id: 0, key: 'loss', count: 2, steps: [2], times: [5], values: ['NaN'] },
      { id: 1, key: 'new', count: 1, steps: [9], times: [6], values: [2] },
    ],
  })
  expect(data.added.map(({ key }: { key: string }) => key)).toEqual(['new'])
  await until(() =>
    live.of('runs').some((event) => event.data.changed.some(({ run }: { run: string }) => run === '01B')),
  )
  expect(live.of('points')).toHaveLength(1)
  for (const { name, data } of live.heard) expectFits(SCHEMAS[name]!, data)
})

const SCHEMAS: Readonly<Record<string, string>> = {
  hello: 'LiveHello',
  runs: 'LiveRuns',
  points: 'LivePoints',
  reload: 'LiveReload',
  events: 'LiveEvents',
}

it('warnings that come are heard, also by a reader that comes again', async () => {
  const { filled, ...place } = await withRun()
  filled.events(2)
  const first = listen(place, '?run=01A&after=1')
  await until(() => first.of('hello').length)
  filled.events(1)
  await until(() => first.of('events').length)
  expectFits('LiveEvents', first.of('events')[0]!.data)
  expect(first.of('events')[0]!.data.rows.map(({ sequence }: { sequence: number }) => sequence)).toEqual([3])
  first.close()
  filled.events(2)
  const again = listen(place, '?run=01A&after=1', { 'last-event-id': first.of('events')[0]!.id! })
  await until(() => again.of('events').length)
  expect(again.of('events')[0]!.data.rows.map(({ sequence }: { sequence: number }) => sequence)).toEqual([4, 5])
})

it('sends nothing while nothing changes', async () => {
  const { filled, stateDir, ...place } = await withRun()
  await get(place, '/api/v1/state')
  const live = listen(place, '?run=01A&after=1')
  await until(() => live.of('hello').length)
  const second = listen(place, '?run=01A&after=1')
  await until(() => second.of('hello').length)
  filled.points(times(1))
  await until(() => live.of('runs').some(({ data }) => data.changed[0]?.lastStep === 2) && live.of('points').length)
  const bytes = live.bytes()
  // Another listener makes the journals be looked at in between.
  const third = listen(place, '')
  await until(() => third.of('hello').length)
  await get(place, '/api/v1/runs/01A')
  await get(place, '/api/v1/state')
  expect(live.bytes()).toBe(bytes)
  // Nor is what was told told again, when something else is.
  new FilledJournal({ run: '01B' }, join(stateDir, '01B.sqlite')).points(times(1))
  const told = live.of('runs').length
  await until(() => live.of('runs').length > told)
  for (const { data } of live.of('runs').slice(told))
    expect(data.changed.map(({ run }: { run: string }) => run)).toEqual(['01B'])
})

it('a reader that comes again misses nothing and hears nothing twice', async () => {
  const { filled, ...place } = await withRun()
  const first = listen(place, '?run=01A&after=1')
  await until(() => first.of('hello').length)
  filled.points(times(2))
  await until(() => first.of('points').length)
  first.close()
  filled.points(times(3, 'loss', 4))
  const again = listen(place, '?run=01A&after=1', { 'last-event-id': first.of('points')[0]!.id! })
  await until(() => again.of('points').length)
  expect(again.of('points')[0]!.data.series[0].steps).toEqual([4, 5, 6])
})

it('a page hears of what changed after it asked for the state and before it listened, and of nothing else', async () => {
  const { filled, stateDir, ...place } = await withRun()
  const other = new FilledJournal({ run: '01B' }, join(stateDir, '01B.sqlite'))
  other.points(times(1))
  // What the list shows of each run is read.
  while (place.store.refresh().changed.length > 0);
  await get(place, '/api/v1/state')
  const unchanged = listen(place, '')
  await until(() => unchanged.of('hello').length)
  unchanged.close()
  await until(() => place.server.connections === 0)
  filled.points(times(1))
  await get(place, '/api/v1/runs/01A')
  const live = listen(place, '')
  await until(() => live.of('runs').length)
  expect(live.of('runs')[0]!.data.changed.map(({ run }: { run: string }) => run)).toEqual(['01A'])
  expect(unchanged.of('runs')).toEqual([])
})

it('HEAD is answered at once', async () => {
  const { filled: _, ...place } = await withRun()
  const { status, headers } = await get(place, '/api/v1/live', { method: 'HEAD' })
  expect([status, headers['content-type']]).toEqual([200, 'text/event-stream; charset=utf-8'])
})

it('without a position points are sent from now on; an odd one that comes back is passed over', async () => {
  const { filled, ...place } = await withRun()
  const live = listen(place, '?run=01A')
  const odd = listen(place, '?run=01A&after=1', { 'last-event-id': 'x,y' })
  await until(() => live.of('hello').length && odd.of('hello').length)
  filled.points(times(1))
  await until(() => live.of('points').length && odd.of('points').length)
  for (const each of [live, odd]) expect(each.of('points')[0]!.data.series[0].steps).toEqual([2])
})

it('more than is sent at once is left to the charts', async () => {
  const { filled, ...place } = await withRun()
  const live = listen(place, '?run=01A&after=1')
  await until(() => live.of('hello').length)
  for (let i = 0; i < 11; i += 1) filled.points(times(1000, 'loss', 2 + i * 1000))
  await until(() => [...live.of('points'), ...live.of('reload')].at(-1)?.data.upTo === 11_001)
  const behind = listen(place, '?run=01A&after=1')
  await until(() => behind.of('reload').length)
  expect(behind.of('reload')[0]!.data).toEqual({ run: '01A', upTo: 11_001 })
  expectFits('LiveReload', behind.of('reload')[0]!.data)
  expect(behind.of('points')).toEqual([])
})

it('a position that the run has never reached means that another one is meant: charts are asked for again', async () => {
  const { filled: _, ...place } = await withRun()
  const live = listen(place, '?run=01A&after=99')
  await until(() => live.of('reload').length)
  expect(live.of('reload')[0]!.data).toEqual({ run: '01A', upTo: 1 })
})

it('a run that is deleted is told as gone, and its listeners go on', async () => {
  const { filled: _, stateDir, ...place } = await withRun()
  const other = new FilledJournal({ run: '01B' }, join(stateDir, '01B.sqlite'))
  const live = listen(place, '?run=01A&after=1&run=01B&after=0')
  await until(() => live.of('hello').length)
  for (const end of ['', '-wal', '-shm']) rmSync(join(stateDir, `01A.sqlite${end}`), { force: true })
  await until(() => live.of('runs').some(({ data }) => data.gone.includes('01A')))
  other.points(times(1))
  await until(() => live.of('points').length)
  expect(live.of('points')[0]!.data.run).toBe('01B')
  expect(place.faults).toEqual([])
})

it('a title that is given is heard by all', async () => {
  const { filled: _, ...place } = await withRun()
  await get(place, '/api/v1/state')
  const live = listen(place, '')
  await until(() => live.of('hello').length)
  await get(place, '/api/v1/runs/01A', {
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
    body: '{"title":"x"}',
  })
  await until(() => live.of('runs').some(({ data }) => data.changed[0]?.title === 'x'))
})

it('a reader that reads nothing is let go, and the others hear on', async () => {
  const { filled, ...place } = await withRun()
  const slow = connect(place.port, '127.0.0.1', () => {
    slow.write(`GET /api/v1/live?run=01A&after=0 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${TOKEN}\r\n\r\n`)
    slow.pause()
  })
  slow.on('error', () => {})
  const live = listen(place, '?run=01A')
  await until(() => live.of('hello').length)
  // 9,000 points with long numbers are about 400 kB a time.
  for (let round = 0; round < 60; round += 1) {
    const at = 1 + round * 9000
    for (let i = 0; i < 9; i += 1)
      filled.points(
        times(1000, 'loss', at + i * 1000).map((point) => ({
          ...point,
          value: Math.random(),
          time: 1_700_000_000_000 + point.step,
        })),
      )
    await until(() => [...live.of('points'), ...live.of('reload')].at(-1)?.data.upTo === 1 + (round + 1) * 9000)
    if (place.server.connections < 2) break
  }
  expect(place.server.connections).toBe(1)
  slow.destroy()
})

it('a run that could not be read once is told of again, and what came meanwhile is not missed', async () => {
  const { filled, stateDir, faults, ...place } = await withRun()
  const live = listen(place, '?run=01A&after=1')
  await until(() => live.of('hello').length)
  const other = new DatabaseSync(join(stateDir, '01A.sqlite'))
  onTestFinished(() => other.close())
  filled.points(times(1))
  await until(() => live.of('points').length === 1)
  other.exec('ALTER TABLE blocks RENAME TO elsewhere')
  await until(() => faults.length > 0)
  other.exec('ALTER TABLE elsewhere RENAME TO blocks')
  filled.points(times(2, 'loss', 3))
  await until(() => live.of('points').length === 2)
  expect(live.of('points')[1]!.data.series[0].steps).toEqual([3, 4])
  expect(faults).toHaveLength(1)
})
