import type { SeriesSummary } from '../web/api.ts'

const MOST = 8

/** What tells most of a run, by the last part of the key, strongest first. */
const TELLING = [
  'mean_return',
  'episode_return',
  'reward_mean',
  'reward',
  'success_rate',
  'eval_loss',
  'val_loss',
  'accuracy',
  'loss',
  'train_loss',
  'perplexity',
  'policy_loss',
  'value_loss',
  'approx_kl',
  'explained_variance',
  'entropy',
  'grad_norm',
  'global_grad_norm',
  'learning_rate',
  'steps_per_second',
  'tokens_per_second',
]

const rankOf = ({ key }: SeriesSummary): number => {
  const rank = TELLING.indexOf(key.slice(key.lastIndexOf('/') + 1))
  if (rank >= 0) return rank
  return /(^|\/)span\//.test(key) ? TELLING.length + 1 : TELLING.length
}

/** The series that a list of runs shows of one: well-known ones first, then as they came. */
export const highlightsOf = (series: readonly SeriesSummary[]): SeriesSummary[] =>
  [...series].sort((a, b) => rankOf(a) - rankOf(b) || a.id - b.id).slice(0, MOST)
