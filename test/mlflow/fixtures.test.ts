import { describe, expect, inject, it } from 'vitest'
import { mlflowKey } from '../../src/exporters/mlflow/keys.ts'
import { expectConserved } from '../support/account.ts'
import { byKeyStepValue, lineFixtures } from '../support/fixtures.ts'
import { MlflowApi } from '../support/mlflow.ts'
import { spanbridge, statusOf, temporaryDirectory } from '../support/spanbridge.ts'

/** MLflow keeps infinities as the largest double, and minus zero as zero. */
const asKept = (value: number): number =>
  value === Infinity ? Number.MAX_VALUE : value === -Infinity ? -Number.MAX_VALUE : value + 0

describe('a recorded log, bridged to a real MLflow and read back', () => {
  const url = inject('mlflowUrl')
  const api = new MlflowApi(url)

  for (const { name, bytes, expected, noStepOfPresets } of lineFixtures) {
    it(`${name} is there point by point, with params, tags and its end`, async () => {
      const stateDir = temporaryDirectory()
      const { code, stdout, stderr } = await spanbridge(
        ['--state-dir', stateDir, '--tag', 'team=rl', '--param', 'given=yes'],
        bytes,
        { env: { MLFLOW_TRACKING_URI: url, TZ: 'UTC' } },
      )
      expect(code, stderr).toBe(0)
      expect(stdout.equals(bytes)).toBe(true)

      const [run] = await statusOf(stateDir)
      expectConserved(run!)
      expect(run!.received.lines).toBe(bytes.toString().trimEnd().split('\n').length)
      if (!expected.optionalKeys.includes('rank')) expect(run!.skipped['no_step'] ?? 0).toBe(noStepOfPresets)
      const [destination] = run!.destinations
      const optional = (key: string): boolean => expected.optionalKeys.includes(key.slice(key.indexOf('/') + 1))
      const stored = await api.points(destination!.runId!)
      const got = stored.filter(({ key }) => !optional(key)).sort(byKeyStepValue)

      const asStored = expected.points
        .map((point) => ({ ...point, key: mlflowKey(point.key), value: asKept(point.value) }))
        .sort(byKeyStepValue)
      // MLflow keeps one row of several that are equal in key, step, time and value; whole seconds make such rows.
      const wanted = asStored.filter(
        (point, i) =>
          i === 0 ||
          point.timestamp_ms !== undefined ||
          point.timestamp_range_ms !== undefined ||
          byKeyStepValue(point, asStored[i - 1]!) !== 0,
      )
      expect(got.map(({ key, step, value }) => [key, step, value])).toEqual(
        wanted.map(({ key, step, value }) => [key, step, value]),
      )
      wanted.forEach(({ timestamp_ms: exact, timestamp_range_ms: range }, i) => {
        if (exact !== undefined) expect(got[i]!.time).toBe(exact)
        if (range !== undefined) expect(got[i]!.time >= range[0] && got[i]!.time <= range[1]).toBe(true)
      })
      expect(run!.points - stored.length).toBe(asStored.length - wanted.length)
      expect(destination!.points).toEqual({ delivered: run!.points, rejected: 0, evicted: 0, pending: 0 })
      expect(run!.skipped['config'] ?? 0).toBe(
        expected.numbers.skipped_config + (expected.optionalKeys.includes('rank') ? 1 : 0),
      )

      const { info, data } = await api.run(destination!.runId!)
      expect(info.status).toBe('FINISHED')
      expect(info.end_time).toBeGreaterThanOrEqual(info.start_time)
      const params = new Map((data.params as { key: string; value: string }[]).map(({ key, value }) => [key, value]))
      expect(params.get('given')).toBe('yes')
      const prefix = name.includes('pino-nested') ? 'payload/' : name.includes('source-group') ? 'train/' : ''
      for (const [field, value] of Object.entries(expected.params)) {
        if (typeof value === 'number') expect(Number(params.get(prefix + field))).toBe(value)
        else if (value !== null) expect(params.get(prefix + field)).toBe(String(value))
      }
      const tags = new Map((data.tags as { key: string; value: string }[]).map(({ key, value }) => [key, value]))
      expect(tags.get('team')).toBe('rl')
      expect(tags.get('spanbridge.run')).toBe(run!.run)
      expect(tags.get('mlflow.source.name')).toBe('stdin')
    })
  }
})
