/** Formats of frameworks that can be named; `auto` recognises them by their shape. */
export const PRESETS = ['auto', 'off', 'sb3', 'hf', 'lightning', 'keras', 'csv'] as const
export type Preset = (typeof PRESETS)[number]

/** The step of Stable-Baselines3, under the one name that it has for it. */
export const SB3_STEP = 'time/total_timesteps'
