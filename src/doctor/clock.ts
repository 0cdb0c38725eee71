import { number } from '../telemetry/words.ts'
import { ok, patience, serverOf, warning } from './findings.ts'
import type { Hop } from './hop.ts'
import { pageAt } from './peek.ts'

/** Clocks further apart than this put points and runs at times that people stumble over. */
const MAX_SKEW_MS = 60_000

/** The clock of this machine against the server's, as the header Date of its answers tells it, to the second. */
export const clock: Hop = {
  name: 'clock',
  needs: () => ['HTTP'],
  look: async (scene) => {
    const server = serverOf(scene)
    const before = Date.now()
    // A server that does not answer now did for an earlier hop, which has told of it: then its time is not known.
    const page = await pageAt(server, `${server.base}/version`, patience(scene.stop)).catch(() => null)
    const date = page?.headers['date']
    const theirs = typeof date === 'string' ? Date.parse(date) : Number.NaN
    if (Number.isNaN(theirs)) return ok('the server does not tell its time')
    const skew = (before + Date.now()) / 2 - theirs
    if (Math.abs(skew) <= MAX_SKEW_MS) return ok('the same as that of the server, within a minute')
    return warning(
      `the clock of this machine is ${number(Math.round(Math.abs(skew) / 1000))} s ${skew > 0 ? 'ahead of' : 'behind'} that of the server`,
      "look at both ('date -u'), and have them set by NTP ('timedatectl set-ntp true'): points bear the time of this machine",
    )
  },
}
