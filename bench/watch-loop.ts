/** Loaded into the daemon by `bench/load.ts`: tells each second how long the turns of the main thread's loop took. */
import { writeFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { isMainThread } from 'node:worker_threads'

if (isMainThread) {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  // The start is measured for itself, by `bench/boot.ts`.
  setTimeout(() => delay.enable(), 2000).unref()
  // Not at the end: a daemon that passes its input on ends by becoming `sh`, of which nothing here hears.
  setInterval(() => {
    writeFileSync(
      process.env['WATCH_LOOP_TELLS']!,
      JSON.stringify({ p999Ms: delay.percentile(99.9) / 1e6 - 1, maxMs: delay.max / 1e6 }),
    )
  }, 1000).unref()
}
