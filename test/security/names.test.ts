import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { readFlags } from '../../src/config/flags.ts'
import { loadSettings } from '../../src/config/load.ts'
import { extract } from '../support/extract.ts'
import { daemon, ended, post, traceOf } from '../support/otlp-daemon.ts'
import { spanbridge, statusOf, temporaryDirectory } from '../support/spanbridge.ts'

const NAMES = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty']

/** Everything that all objects have; a name more, or another value, is the pollution. */
const shared = (): unknown[] =>
  [Object.prototype, Array.prototype, Function.prototype].flatMap((prototype) =>
    Reflect.ownKeys(prototype).map((key) => [key, Object.getOwnPropertyDescriptor(prototype, key)!.value as unknown]),
  )

const object = (name: string, json: string): string => `{${JSON.stringify(name)}:${json}}`

it.each(NAMES)('%s in a line, a param, a setting or a file is a name like any other', (name) => {
  const before = shared()
  const nested = object(name, '{"polluted":1,"prototype":{"polluted":2}}')
  const found = extract(
    `${nested.replace(/}$/, ',"step":1}')}\n{"step":1,"spans":[${nested}],"span":${nested},"fields":${nested}}\n` +
      `{"message":"startup","config":${nested},${nested.slice(1)}\n{"category":"${name}","step":2,"x":1}\n`,
  )
  expect(found.keys).toContain(`misc/${name}/polluted`)
  expect(found.params.map(([param]) => param)).toContain(`config/${name}/prototype/polluted`)

  const path = join(temporaryDirectory(), 'spanbridge.yaml')
  writeFileSync(path, `params: {${name}: {polluted: 1}}\nlabels: {${name}: x}\n${name}: {polluted: 1}\n`)
  const fromFile = loadSettings(readFlags(['--config', path], false), {})
  expect([Object.entries(fromFile.settings.params), fromFile.problems.length]).toEqual([[[name, '{"polluted":1}']], 1])
  const flags = ['--param', `${name}=1`, '--param', 'b=2', '--tag', `${name}=1`, '--steps-by-category', `${name}=a`]
  const { settings } = loadSettings(readFlags(flags, false), { OTEL_EXPORTER_OTLP_HEADERS: `${name}=x` })
  expect(Object.keys(settings.params).sort()).toEqual([name, 'b'].sort())
  expect(Object.keys(settings['otlp.headers'])).toEqual([name.toLowerCase()])
  expect([shared(), ({} as Record<string, unknown>)['polluted']]).toEqual([before, undefined])
})

it('such names reach the journal by a pipe and by OTLP, and the daemon lives', async () => {
  const stateDir = temporaryDirectory()
  const { running, url } = await daemon(['--runs-identity', NAMES.join(',')], stateDir)
  for (const [i, name] of NAMES.entries())
    expect(await post(url, traceOf(i + 1, [[1, 0, { step: 1, [name]: 0.5 }]], { [name]: name }))).toBe(200)
  expect((await ended(running)).code).toBe(0)
  const line = `{"step":1,${NAMES.map((name) => `"${name}":1`).join(',')},"span":${object('__proto__', '{"name":"x"}')}}\n`
  expect((await spanbridge(['--console', '--quiet', '--state-dir', stateDir], line)).code).toBe(0)
  const points = (await statusOf(stateDir)).map((run) => run.points)
  expect(points.reduce((sum, n) => sum + n, 0)).toBe(NAMES.length * 3)
})

it('whoever reaches the receiver can begin 64 runs with 10,000 series each, and no more', async () => {
  const stateDir = temporaryDirectory()
  const { running, url } = await daemon([], stateDir)
  const many = Object.fromEntries(Array.from({ length: 10_500 }, (_, i) => [`key_${i}`, i + 0.5]))
  expect(await post(url, traceOf(1, [[1, 0, { step: 1, ...many }]], { 'service.name': 'service 0' }))).toBe(200)
  for (let i = 1; i < 70; i += 1)
    expect(await post(url, traceOf(i + 1, [[1, 0, { step: 1, x: 1 }]], { 'service.name': `service ${i}` }))).toBe(200)
  const { stderr } = await ended(running)
  expect(stderr).toContain('more than 64 runs came from the network')
  const runs = await statusOf(stateDir)
  expect(runs.length).toBe(64)
  const first = runs.find(({ name }) => name === 'service 0')!
  // The duration of the span is a series as well.
  expect([first.series, first.points, first.skipped['series_cap']]).toEqual([10_000, 10_000, 501])
})
