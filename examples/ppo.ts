/**
 * A trainer that trains nothing: a PPO run with seeded, realistic curves, written as tracing lines on standard output, with
 * the spans that they are in, as Rust's tracing-subscriber writes them.
 * Around two thirds of the run the update grows too large, the loss becomes NaN, and training goes on from a checkpoint.
 *
 *     node examples/ppo.ts [seconds, 20 by default]
 */
import { setTimeout as sleep } from 'node:timers/promises'

const UPDATES = 200
const ENVS = 16
const ROLLOUT = 128
const seconds = Number(process.argv[2] ?? 20)

/** Mulberry32: the same run each time. */
let seed = 7
function random(): number {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296
}
const noise = (size: number): number => size * (random() + random() + random() - 1.5)

/** Bare NaN, as Python writes it. */
const number = (value: number): string =>
  Number.isInteger(value) ? String(value) : Number.isNaN(value) ? 'NaN' : String(Number(value.toPrecision(9)))

/** Spans that the next event is in, from the root inwards. */
let spans: readonly Record<string, number | string>[] = []

function event(message: string, fields: Record<string, number | string | boolean>, level = 'INFO'): void {
  const body = Object.entries({ message, ...fields }).map(
    ([key, value]) => `${JSON.stringify(key)}:${typeof value === 'number' ? number(value) : JSON.stringify(value)}`,
  )
  const around = spans.length === 0 ? '' : `,"span":${JSON.stringify(spans.at(-1))},"spans":${JSON.stringify(spans)}`
  process.stdout.write(
    `{"timestamp":"${new Date().toISOString()}","level":"${level}","target":"ppo","fields":{${body.join(',')}}${around}}\n`,
  )
}

/** Each step is worth 1, so an episode is about as long as its return. */
const episodeLengths = (mean: number): Record<string, number> => ({
  episode_length_mean: mean,
  episode_length_max: Math.min(500, Math.round(mean + 70)),
  episode_length_min: Math.max(8, Math.round(mean - 85)),
})

event('startup', {
  task: 'CartPole-v1',
  world_size: 1,
  global_num_envs: ENVS,
  rollout_length: ROLLOUT,
  obs_dim: 4,
  gamma: 0.99,
})
event('config_trace', {
  learning_rate: 3e-4,
  clip_eps: 0.2,
  epochs: 4,
  minibatches: 4,
  hub_token: 'hf_not-a-real-token-0000',
})
process.stderr.write('warming up the simulator ...\n')

const DIVERGES = Math.round(UPDATES * 0.65)
const RESTORED = DIVERGES + 8

for (let update = 1; update <= UPDATES; update += 1) {
  const timesteps = update * ENVS * ROLLOUT
  const age = update - DIVERGES
  const diverging = age >= 0 && update < RESTORED
  const progress = 1 - Math.exp(-(update >= RESTORED ? update - 10 : update) / 60)
  const blowUp = diverging ? 1.9 ** age : 1
  const criticLoss = (0.9 * Math.exp(-update / 50) + 0.08 + Math.abs(noise(0.02))) * blowUp
  const meanReturn = 20 + 460 * progress * (diverging ? 0.9 ** age : 1) + noise(14)

  const around = { update, name: 'update' }
  spans = [around, { envs: ENVS, name: 'rollout' }]
  event('rollout begins', { category: 'ACTOR' })
  await sleep((seconds * 500) / UPDATES)
  event('rollout finished', {
    category: 'ACTOR',
    timesteps,
    mean_return: meanReturn,
    max_return: Math.min(500, meanReturn + 60 + noise(10)),
    min_return: Math.max(8, meanReturn - 80 + noise(10)),
    ...episodeLengths(meanReturn),
    phase: 'Training/Actor',
  })
  spans = [around, { minibatches: 4, name: 'optimization' }]
  event('optimization begins', { category: 'TRAINER' })
  await sleep((seconds * 500) / UPDATES)
  event('update done', {
    category: 'TRAINER',
    policy_version: update,
    timesteps,
    actor_loss: -0.02 * Math.exp(-update / 80) + noise(0.003),
    critic_loss: age === 6 ? Number.NaN : criticLoss,
    entropy: 0.69 * Math.exp(-update / 140) + noise(0.01),
    approx_kl: (0.008 + Math.abs(noise(0.004))) * blowUp,
    clip_fraction: Math.min(1, (0.09 + Math.abs(noise(0.03))) * Math.sqrt(blowUp)),
    global_grad_norm: (0.4 + Math.abs(noise(0.1))) * blowUp,
    explained_variance: Math.max(-1, progress * 0.95 + noise(0.02) - (diverging ? 0.2 * age : 0)),
  })
  spans = [around]
  event('throughput', {
    category: 'MISC',
    timesteps,
    steps_per_second: 51_000 + noise(2500),
    learning_rate: 3e-4 * (1 - update / (UPDATES + 1)),
  })
  if (update % 20 === 0) {
    const evaluated = Math.min(500, meanReturn + 15)
    event('evaluation', {
      category: 'EVALUATOR',
      phase: 'Evaluator',
      policy_version: update,
      episodes: 10,
      mean_return: evaluated,
      max_return: 500,
      min_return: Math.max(8, meanReturn - 40),
      ...episodeLengths(evaluated),
      duration_ms: 180 + noise(20),
    })
  }
  if (age === 6) event('loss is not a number', { category: 'TRAINER', update }, 'WARN')
  if (update === RESTORED) event('restored checkpoint', { update: DIVERGES - 1 }, 'WARN')
  spans = []
}
