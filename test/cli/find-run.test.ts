import { expect, it } from 'vitest'
import { findJournal, noSuchRun } from '../../src/cli/find-run.ts'

const runs = [
  { run: '01KAAA', name: 'ppo', journal: '/a', startedAt: 3 },
  { run: '01KABB', name: 'ppo', journal: '/b', startedAt: 9 },
  { run: '01KB', name: 'dqn', journal: '/c', startedAt: 5 },
]

it('a run is found by its id, the beginning of it in any case, its name (the newest of it), and as the latest', () => {
  const found = ['01KAAA', '01kaa', 'ppo', '01KB', 'latest'].map((word) => findJournal(word, runs))
  expect(found).toEqual(['/a', '/a', '/b', '/c', '/b'])
  const named = [...runs, { run: '01KC', name: 'latest', journal: '/d', startedAt: 1 }]
  expect(findJournal('latest', named)).toBe('/d')
})

it('what is no run, or more than one, is said with what would be', () => {
  const none = ['01KA', 'sac', ''].map((word) => findJournal(word, runs))
  expect(none).toEqual([null, null, null])
  expect(noSuchRun('01ka', runs, '/state')).toBe("'01ka' begins the ids of 2 runs: 01KAAA (ppo), 01KABB (ppo)")
  expect(noSuchRun('dqm', runs, '/state')).toContain('or latest; did you mean dqn?')
  expect(noSuchRun('sac', [], '/state')).toContain('expected a file, or a run in /state by its id')
})
