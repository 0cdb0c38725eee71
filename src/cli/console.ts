import { isatty } from 'node:tty'
import type { Screen } from '../receivers/lines/run.ts'
import type { Context } from './app.ts'

/** Where one of the trainer's streams is shown: events in colour on a terminal, unless `NO_COLOR` (no-color.org) or a dumb one is set. */
export function screenOf({ loaded, env, stdout, stderr }: Context, fd: 1 | 2): Screen {
  const output = fd === 1 ? stdout : stderr
  const wantsNone = (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb'
  return { text: loaded.settings.quiet ? null : output, events: output, colour: isatty(fd) && !wantsNone }
}
