import type { RunToOpen } from '../../src/exporters/exporter.ts'

/** A run as an exporter is asked to open it, but for where it goes. */
export const runToOpen: Omit<RunToOpen, 'target'> = {
  run: '01TEST',
  name: 'ppo',
  startedAt: 1_700_000_000_000.5,
  source: 'stdin',
  command: [],
  directory: '/',
  tags: [],
  knownId: null,
  knownMade: false,
  mayExist: false,
  isMoved: false,
  reopen: false,
  makingSince: null,
  peer: null,
  making: () => {},
}
