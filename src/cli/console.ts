import { isatty } from 'node:tty'
import type { Output } from '../telemetry/output.ts'
import type { Context } from './app.ts'

/** Where events are shown, if at all; coloured on a terminal, unless `NO_COLOR` (no-color.org) or a dumb one is set. */
export function consoleOf({ loaded, env, stdout }: Context): { events: Output; colour: boolean } | null {
  if (!loaded.settings.console) return null
  const wantsNone = (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb'
  return { events: stdout, colour: isatty(1) && !wantsNone }
}
