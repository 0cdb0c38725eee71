import { existsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { lockOf } from '../../src/delivery/run.ts'
import { JournalLock } from '../../src/journal/lock.ts'
import { ROUTES } from '../../src/web/routes.ts'
import { FilledJournal } from '../support/filled-journal.ts'
import type { Line } from '../../src/web/api.ts'
import { expectFits, openapi } from '../support/openapi.ts'
import { get, serve, type Answer } from '../support/page.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

type Schema = Record<string, any>

/** A run with everything in it that can be shown. */
function fill(stateDir: string, run: string): FilledJournal {
  const filled = new FilledJournal(
    { run, name: 'ppo', params: [['lr', '0.1']], tags: [['team', 'rl']] },
    join(stateDir, `${run}.sqlite`),
  )
  const loss = (step: number, value: number) => ({ key: 'trainer/loss', step, time: 1000 * step, value })
  filled.points([
    loss(1, 3),
    loss(2, Number.NaN),
    loss(3, Infinity),
    loss(4, 1),
    { key: 'trainer/span/update/duration_ms', step: 1, time: 1000, value: 5 },
  ])
  filled.destination()
  filled.events(3)
  return filled
}

let place: Awaited<ReturnType<typeof serve>>
let stateDir: string
beforeEach(async () => {
  stateDir = temporaryDirectory()
  fill(stateDir, '01A')
  fill(stateDir, '01B').end()
  place = await serve(stateDir)
})

const api = async (path: string, options: Parameters<typeof get>[2] = {}): Promise<Answer> =>
  get(place, `/api/v1${path}`, options)
const ofSchema = (schema: Schema): string => String(schema['$ref']).split('/').at(-1)!

describe('the description', () => {
  it('names every route with its methods, and no other', () => {
    const ours = ROUTES.map(({ method, path }) => `${method} ${path}`)
    const described = Object.entries(openapi['paths'] as Schema).flatMap(([path, methods]) =>
      Object.keys(methods as Schema).map((method) => `${method.toUpperCase()} ${path}`),
    )
    expect(described.toSorted()).toEqual([...ours, 'GET /openapi.json'].toSorted())
  })

  it('says of each path what comes of a method that it has not', async () => {
    for (const [path, methods] of Object.entries(openapi['paths'] as Record<string, Schema>)) {
      const { status, headers } = await api(path.replace('{run}', '01A'), { method: 'PUT' })
      const allowed = String(headers['allow']).toLowerCase().split(', ')
      const described = Object.keys(methods)
      expect([path, status, allowed.toSorted()]).toEqual([path, 405, [...described, 'head'].toSorted()])
      for (const operation of Object.values(methods) as Schema[])
        expect((operation['responses'] as Schema)['405'], path).toEqual({ $ref: '#/components/responses/WrongMethod' })
    }
  })

  it('names every part of a query that is taken, with its default and limits', async () => {
    for (const [path, { get: operation }] of Object.entries(openapi['paths'] as Record<string, Schema>)) {
      if (path === '/openapi.json') continue
      const { json } = await api(`${path.replace('{run}', '01A')}?no-such-name=1`)
      const described = ((operation!['parameters'] ?? []) as Schema[])
        .filter(({ in: where }) => where === 'query')
        .map(({ name }) => String(name))
      // What is required is missed first.
      if (described.includes('key')) continue
      expect(json.error, path).toBe(
        described.length === 0
          ? "expected no query, got 'no-such-name'"
          : `expected a query of ${queryOf(json.error).join(', ')}, got 'no-such-name'`,
      )
      expect(queryOf(json.error).toSorted(), path).toEqual(described.toSorted())
    }
  })

  const queryOf = (error: string): string[] => /a query of (.*), got/.exec(error)?.[1]?.split(', ') ?? []

  it('is served, and real answers of every route are as it says', async () => {
    expect((await api('/openapi.json')).json).toEqual(openapi)
    const queries: Record<string, string> = {
      '/series': '?run=01A&run=01B&key=trainer/loss&width=300',
      '/runs/{run}/events': '?level=WARN&search=x&limit=3',
      '/runs/{run}/spans': '?from=0&to=9',
      '/runs/{run}/steps': '?buckets=3',
    }
    for (const { method, path } of ROUTES) {
      if (path === '/live' || method !== 'GET') continue
      const { status, json } = await api(path.replace('{run}', '01A') + (queries[path] ?? ''))
      expect(status, path).toBe(200)
      expectFits(
        ofSchema(openapi['paths'][path].get.responses['200'].content['application/json'].schema as Schema),
        json,
      )
    }
    expect(place.faults).toEqual([])
  })
})

describe('the state', () => {
  it('has all runs with their accounts, newest first, and files that cannot be read', async () => {
    writeFileSync(join(stateDir, 'broken.sqlite'), 'x'.repeat(5000))
    const { json } = await api('/state')
    expectFits('State', json)
    expect(json.runs.map(({ run, status }: Schema) => [run, status])).toEqual([
      ['01B', 'finished'],
      ['01A', 'interrupted'],
    ])
    expect(json.runs[1].journaled).toEqual({ points: 5, spans: 0 })
    expect(json.unreadable).toEqual([{ journal: join(stateDir, 'broken.sqlite'), error: expect.any(String) }])
    expect(json.stateDir).toBe(stateDir)
  })
})

describe('a chart', () => {
  it('has a line for each run, and values that JSON has no word for', async () => {
    const { json } = await api('/series?run=01A&run=01B&key=trainer/loss&width=300')
    expectFits('Chart', json)
    expect(json.lines.map(({ run }: Schema) => run)).toEqual(['01A', '01B'])
    expect(json.lines[0]).toMatchObject({
      isRaw: true,
      points: 4,
      steps: [1, 2, 3, 4],
      values: [3, 'NaN', 'Infinity', 1],
      nan: 1,
      infinite: 1,
      upTo: 5,
    })
  })

  it('is of a range in units of its axis, both ends included', async () => {
    const steps = async (query: string): Promise<unknown> =>
      (await api(`/series?run=01A&key=trainer/loss&width=300${query}`)).json.lines[0].steps
    expect(await steps('&from=2&to=3')).toEqual([2, 3])
    expect(await steps('&axis=time&from=3000')).toEqual([3, 4])
    expect(await steps('&axis=relative&to=1000')).toEqual([1, 2])
  })

  it('begins its relative axis at the earliest point of the run, which need not be the first one', async () => {
    new FilledJournal({ run: '01C', name: 'back' }, join(stateDir, '01C.sqlite')).points([
      { key: 'k', step: 1, time: 5000, value: 1 },
      { key: 'k', step: 2, time: 1000, value: 2 },
    ])
    const [line] = (await api('/series?run=01C&key=k&width=300&axis=relative&to=0')).json.lines as Line[]
    expect(line).toMatchObject({ origin: 1000, steps: [2] })
    const { json } = await api('/runs/01C')
    expectFits('RunDetail', json)
    expect(json.origin).toBe(line!.origin)
  })

  it('has no line of a run without the key', async () => {
    expect((await api('/series?run=01A&key=none&width=300')).json.lines).toEqual([])
  })
})

describe('a request that is wrong', () => {
  it.each([
    ['/series?run=01A&key=k', 'expected width to be a whole number from 1 to 8192, got nothing'],
    ['/series?run=01A&width=5', 'expected key to be a value, got nothing'],
    ['/series?key=k&width=5', 'expected run to be a run, got nothing'],
    ['/series?run=01A&key=k&width=5&axis=stpe', "expected axis to be one of step, time, relative, got 'stpe'"],
    ['/series?run=01A&key=k&width=99999', "expected width to be a whole number from 1 to 8192, got '99999'"],
    ['/series?run=01A&key=k&width=5&width=6', 'expected width once, got it 2 times'],
    ['/series?run=01A&key=k&width=5&from=x', "expected from to be a number, got 'x'"],
    ['/series?run=01A&key=k&width=5&from=2&to=1', 'expected from to be no greater than to, got 2 and 1'],
    ['/runs/01A/events?level=INFO', "expected level to be one of WARN, ERROR, got 'INFO'"],
    ['/runs/01A/events?limit=0', "expected limit to be a whole number from 1 to 1000, got '0'"],
    ['/live?run=01A&run=01B&after=1', 'expected an after for each run, or none, got 1 for 2 runs'],
    ['/state?x=1', "expected no query, got 'x'"],
    ['/runs/%ff', "expected a path with percent signs as %25, got '%ff'"],
  ])('%s is told what was expected', async (path, error) => {
    const { status, json } = await api(path)
    expect([status, json]).toEqual([400, { error }])
    expectFits('Refused', json)
  })

  it('to a place that is not there is told so', async () => {
    for (const path of ['', '/', '/stat', '/state/', '/runs', '/runs/', '/runs/01A/', '/runs/01A/nothing'])
      expect([(await api(path)).status, (await api(path)).json], path).toEqual([
        404,
        { error: `there is nothing at '/api/v1${path}'` },
      ])
    for (const path of [
      '/runs/01X',
      '/runs/..%2f01A',
      '/runs/01A.sqlite',
      '/runs/__proto__',
      '/series?run=01X&key=k&width=5',
      '/runs/01X/spans',
      '/live?run=01X',
    ])
      expect((await api(path)).status, path).toBe(404)
  })

  it('by a method that is not there names those that are', async () => {
    const post = await api('/runs/01A', { method: 'POST' })
    expect([post.status, post.headers['allow']]).toEqual([405, 'GET, HEAD, PATCH, DELETE'])
    expect((await api('/state', { method: 'DELETE' })).status).toBe(405)
  })

  it('HEAD is answered as GET, without a body', async () => {
    const { status, body, headers } = await api('/state', { method: 'HEAD' })
    expect([status, body.length]).toEqual([200, 0])
    expect(Number(headers['content-length'])).toBeGreaterThan(100)
  })
})

describe('a change', () => {
  const patch = (body: unknown, type = 'application/json') =>
    api('/runs/01A', {
      method: 'PATCH',
      headers: { 'content-type': type },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })

  it('gives a run another title, or puts it away, until that is taken back', async () => {
    expect(await patch({ title: ' The good one ', archived: true })).toMatchObject({ status: 200, json: {} })
    const run = async (): Promise<Schema> => (await api('/runs/01A')).json.run as Schema
    expect(await run()).toMatchObject({ name: 'ppo', title: 'The good one', archived: true })
    expect(statSync(join(stateDir, 'page.json')).mode & 0o777).toBe(0o600)
    await patch({ title: null })
    expect(await run()).toMatchObject({ title: 'ppo', archived: true })
  })

  it.each([
    [{}, 'expected title or archived, got neither'],
    [{ title: '' }, 'expected title to be null or a text of 1 to 200 characters, got ""'],
    [{ title: 5 }, 'expected title to be null or a text of 1 to 200 characters, got 5'],
    [{ archived: 'yes' }, 'expected archived to be true or false, got "yes"'],
    [{ status: 'finished' }, "expected title or archived, got 'status'"],
    [[], 'expected an object with title or archived, got []'],
    ['{"title":', expect.stringContaining('expected JSON, got something else')],
  ])('%j is refused with words', async (body, error) => {
    expect(await patch(body)).toMatchObject({ status: 400, json: { error } })
  })

  it('of another type is refused', async () => {
    expect((await patch('title=x', 'text/plain')).status).toBe(415)
  })
})

describe('deleting a run', () => {
  const remove = (query: string) => api(`/runs/01A${query}`, { method: 'DELETE' })

  it('needs its name once more', async () => {
    for (const query of ['', '?confirm=', '?confirm=01B'])
      expect(await remove(query)).toMatchObject({
        status: 400,
        json: { error: expect.stringContaining('expected confirm to be the run, 01A') },
      })
    expect(existsSync(join(stateDir, '01A.sqlite'))).toBe(true)
  })

  it('takes its files away, and only these', async () => {
    expect(await remove('?confirm=01A')).toMatchObject({ status: 200, json: {} })
    expect(existsSync(join(stateDir, '01A.sqlite'))).toBe(false)
    expect(existsSync(join(stateDir, '01B.sqlite'))).toBe(true)
    expect((await api('/runs/01A')).status).toBe(404)
    expect((await api('/state')).json.runs.map(({ run }: Schema) => run)).toEqual(['01B'])
  })

  it('is refused while a process holds it', async () => {
    const lock = new JournalLock(lockOf(join(stateDir, '01A.sqlite')))
    expect(await remove('?confirm=01A')).toMatchObject({
      status: 409,
      json: { error: expect.stringContaining('still written or delivered') },
    })
    expect((await api('/runs/01A')).status).toBe(200)
    lock.release()
    expect((await remove('?confirm=01A')).status).toBe(200)
  })
})
