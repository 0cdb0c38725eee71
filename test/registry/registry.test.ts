import { expect, it } from 'vitest'
import { readFlags } from '../../src/config/flags.ts'
import { loadSettings } from '../../src/config/load.ts'
import { describeMetric } from '../../src/registry/index.ts'

it('a metric has the label that the user set, else the known one, else its key word by word', () => {
  const labels = { steps_per_second: 'SPS', 'trainer/loss': 'My Loss' }
  const label = (key: string): string => describeMetric(key, labels).label
  expect([
    label('misc/steps_per_second'),
    label('trainer/loss'),
    label('actor/loss'),
    label('trainer/approx_kl'),
  ]).toEqual(['SPS', 'My Loss', 'Loss', 'Approx. KL'])
  expect([label('misc/my_new_metric'), label('misc/timing/env_ms'), label('misc/größe'), label('misc/')]).toEqual([
    'My New Metric',
    'Timing / Env Ms',
    'Größe',
    '',
  ])
  for (const name of ['__proto__', 'constructor', 'toString'])
    expect(describeMetric(`misc/${name}`, {}).unit).toBeNull()
})

it('METRIC_LABELS may hold equals signs in a label; entries that are none are ignored, and the later one wins', () => {
  const read = (env: Record<string, string>) => loadSettings(readFlags([], false), env)
  const { settings, problems } = read({ METRIC_LABELS: ' a = A=B , b=, =c, d, a2=x ,a2= Last ' })
  expect([settings.labels, problems]).toEqual([{ a: 'A=B', a2: 'Last' }, []])
  expect(read({ RUST_RL_METRIC_LABELS: 'loss=L' }).settings.labels).toEqual({ loss: 'L' })
})
