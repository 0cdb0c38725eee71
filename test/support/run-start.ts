import type { RunStart } from '../../src/channel/messages.ts'

/** A run that begins, as far as tests care. */
export const runStart = (rest: Partial<RunStart> = {}): RunStart => ({
  run: '01TEST',
  identity: null,
  trackerRun: null,
  name: 'ppo',
  source: 'stdin',
  command: [],
  directory: '/',
  startedAt: 5,
  params: [['lr', '1']],
  tags: [['team', 'rl']],
  ...rest,
})
