import { writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Chart, RunDetail, State } from '../../src/web/api.ts'
import { byKeyStepValue, hostileFiles, lineFixtures, numberOf } from '../support/fixtures.ts'
import { get } from '../support/page.ts'
import { startWithPage, type Place } from '../support/served.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

interface Shown {
  key: string
  step: number
  time: number
  value: number
}

/** All points of a series: a long one comes in parts, as the page saves it. */
async function pointsOf(place: Place, query: Record<string, string>): Promise<Shown[]> {
  const { json } = await get(place, `/api/v1/series?width=8192&${new URLSearchParams(query).toString()}`)
  const line = (json as Chart).lines[0]!
  if (line.isRaw)
    return line.values.map((value, i) => ({
      key: query['key']!,
      step: line.steps[i]!,
      time: line.times[i]!,
      value: numberOf(value),
    }))
  const [from, to] = [Number(query['from'] ?? line.steps[0]), Number(query['to'] ?? line.steps.at(-1))]
  const middle = Math.floor((from + to) / 2)
  const part = (a: number, b: number) => pointsOf(place, { ...query, from: String(a), to: String(b) })
  return [...(await part(from, middle)), ...(await part(middle + 1, to))]
}

/** All that the page gets of a log that `spanbridge view` takes in. */
async function shownOf(name: string, bytes: Buffer): Promise<Shown[]> {
  const directory = temporaryDirectory()
  const path = join(directory, basename(name))
  writeFileSync(path, bytes)
  const { running, ...place } = await startWithPage(['view', path], join(directory, 'state'), { env: { TZ: 'UTC' } })
  const { runs } = (await get(place, '/api/v1/state')).json as State
  expect(runs).toHaveLength(1)
  const { run } = runs[0]!
  const { series } = (await get(place, `/api/v1/runs/${run}`)).json as RunDetail
  const all: Shown[] = []
  for (const { key, count, min, max, nan, infinite, last } of series) {
    const points = await pointsOf(place, { run, key })
    const values = points.map(({ value }) => value)
    const finite = values.filter(Number.isFinite)
    expect([count, nan, infinite]).toEqual([
      points.length,
      values.filter(Number.isNaN).length,
      values.filter((value) => Math.abs(value) === Infinity).length,
    ])
    expect([min, max]).toEqual(finite.length === 0 ? [null, null] : [least(finite), greatest(finite)])
    expect(points.map(({ step, value }) => `${step} ${value}`)).toContain(`${last.step} ${last.value}`)
    all.push(...points)
  }
  running.child.kill('SIGINT')
  expect((await running.finished).code).toBe(0)
  return all.sort(byKeyStepValue)
}

const least = (values: readonly number[]): number => values.reduce((a, b) => Math.min(a, b))
const greatest = (values: readonly number[]): number => values.reduce((a, b) => Math.max(a, b))

describe('spanbridge view shows of a recorded log exactly the points that its program logged:', () => {
  for (const { name, bytes, expected } of lineFixtures) {
    it(name, async () => {
      const isOptional = ({ key }: Shown): boolean => expected.optionalKeys.includes(key.slice(key.indexOf('/') + 1))
      const got = (await shownOf(name, bytes)).filter((point) => !isOptional(point))
      const wanted = expected.points.toSorted(byKeyStepValue)
      // JSON has no minus zero.
      expect(got.map(({ key, step, value }) => [key, step, value + 0])).toEqual(
        wanted.map(({ key, step, value }) => [key, step, value + 0]),
      )
      wanted.forEach(({ timestamp_ms: exact, timestamp_range_ms: range }, i) => {
        if (exact !== undefined) expect(got[i]!.time).toBe(exact)
        if (range !== undefined) expect(got[i]!.time >= range[0] && got[i]!.time <= range[1]).toBe(true)
      })
    })
  }
})

describe('spanbridge view shows of a hostile log what can be read of it:', () => {
  for (const { data, bytes, points, pointsCount, either } of hostileFiles) {
    it(data, async () => {
      const got = await shownOf(data.replace(/\.gz$/, ''), bytes)
      const mayBe = either.flatMap(({ point }) => (point === null ? [] : [text(point)]))
      if (pointsCount !== null) expect(got).toHaveLength(pointsCount)
      if (points === null) return
      const wanted = points
        // Longer keys are counted and make no series.
        .filter(([key]) => Buffer.byteLength(key) <= 1024)
        .map(([key, step, value]) => text([key, step, value]))
      const have = got.map(({ key, step, value }) => text([key, step, value]))
      expect(have.filter((point) => !mayBe.includes(point)).sort()).toEqual(
        wanted.filter((point) => !mayBe.includes(point)).sort(),
      )
    })
  }
})

const text = ([key, step, value]: readonly [string, number, unknown]): string => `${key} ${step} ${numberOf(value) + 0}`
