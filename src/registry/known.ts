/** What a metric counts as when several values fall into one place. */
export type Aggregation = 'mean' | 'sum' | 'max' | 'min' | 'last'

/** From where on a value deserves a look, and from where on it is bad; `below`: the other way round. */
export interface Thresholds {
  warn: number
  bad: number
  below?: boolean
}

export interface KnownMetric {
  label: string
  /** Unit as a reader knows it; absent for plain numbers, and where the label names it. */
  unit?: string
  aggregation?: Aggregation
  thresholds?: Thresholds
}

/**
 * Well-known metrics of reinforcement learning and language-model training, by the last part of their key. The
 * thresholds are those that PPO implementations warn at (KL 0.05/0.1, clip fraction 0.3/0.5, explained variance
 * 0.5/0.0).
 */
export const KNOWN: Readonly<Record<string, KnownMetric>> = {
  // Losses and what drives them
  loss: { label: 'Loss' },
  train_loss: { label: 'Train Loss' },
  val_loss: { label: 'Validation Loss' },
  eval_loss: { label: 'Evaluation Loss' },
  policy_loss: { label: 'Policy Loss' },
  pg_loss: { label: 'Policy Loss' },
  actor_loss: { label: 'Actor Loss' },
  value_loss: { label: 'Value Loss' },
  vf_loss: { label: 'Value Loss' },
  critic_loss: { label: 'Critic Loss' },
  aux_loss: { label: 'Auxiliary Loss' },
  entropy: { label: 'Entropy' },
  approx_kl: { label: 'Approx. KL', thresholds: { warn: 0.05, bad: 0.1 } },
  kl: { label: 'KL', thresholds: { warn: 0.05, bad: 0.1 } },
  kl_divergence: { label: 'KL Divergence', thresholds: { warn: 0.05, bad: 0.1 } },
  clip_fraction: { label: 'Clip Fraction', thresholds: { warn: 0.3, bad: 0.5 } },
  clipfrac: { label: 'Clip Fraction', thresholds: { warn: 0.3, bad: 0.5 } },
  pg_clipfrac: { label: 'Policy Clip Fraction', thresholds: { warn: 0.3, bad: 0.5 } },
  vf_clipfrac: { label: 'Value Clip Fraction', thresholds: { warn: 0.3, bad: 0.5 } },
  explained_variance: { label: 'Explained Variance', thresholds: { warn: 0.5, bad: 0, below: true } },
  global_grad_norm: { label: 'Grad Norm' },
  grad_norm: { label: 'Grad Norm' },
  learning_rate: { label: 'Learning Rate', aggregation: 'last' },
  lr: { label: 'Learning Rate', aggregation: 'last' },
  critic_learning_rate: { label: 'Critic Learning Rate', aggregation: 'last' },
  replay_len: { label: 'Replay Length', aggregation: 'last' },
  // Returns and episodes
  mean_return: { label: 'Mean Return' },
  max_return: { label: 'Max Return', aggregation: 'max' },
  min_return: { label: 'Min Return', aggregation: 'min' },
  episode_return: { label: 'Episode Return' },
  episode_length_mean: { label: 'Episode Length Mean' },
  episode_length_max: { label: 'Episode Length Max', aggregation: 'max' },
  episode_length_min: { label: 'Episode Length Min', aggregation: 'min' },
  episodes: { label: 'Episodes', aggregation: 'sum' },
  reward: { label: 'Reward' },
  reward_mean: { label: 'Reward Mean' },
  reward_std: { label: 'Reward Std' },
  success_rate: { label: 'Success Rate' },
  // Language models
  perplexity: { label: 'Perplexity' },
  accuracy: { label: 'Accuracy' },
  response_length: { label: 'Response Length', unit: 'tokens' },
  prompt_length: { label: 'Prompt Length', unit: 'tokens' },
  num_tokens: { label: 'Tokens', aggregation: 'sum' },
  tokens_processed: { label: 'Tokens Processed', aggregation: 'last' },
  epoch: { label: 'Epoch', aggregation: 'last' },
  // Speed and memory
  steps_per_second: { label: 'Steps per Second' },
  samples_per_second: { label: 'Samples per Second' },
  tokens_per_second: { label: 'Tokens per Second' },
  mfu: { label: 'Model FLOPs Utilisation' },
  tflops: { label: 'Throughput', unit: 'TFLOP/s' },
  duration_ms: { label: 'Duration', unit: 'ms' },
  step_time: { label: 'Step Time', unit: 's' },
  rollout_duration_ms: { label: 'Rollout Duration', unit: 'ms' },
  optimization_duration_ms: { label: 'Optimization Duration', unit: 'ms' },
  memory_allocated_gb: { label: 'Memory Allocated', unit: 'GB', aggregation: 'max' },
  memory_reserved_gb: { label: 'Memory Reserved', unit: 'GB', aggregation: 'max' },
  gpu_memory_allocated_gb: { label: 'GPU Memory Allocated', unit: 'GB', aggregation: 'max' },
  gpu_memory_reserved_gb: { label: 'GPU Memory Reserved', unit: 'GB', aggregation: 'max' },
}
