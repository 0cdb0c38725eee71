import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { readStateDir } from '../../src/journal/status.ts'
import { launchChromium } from '../../test/support/chromium.ts'
import { usePage } from '../harness/package.ts'
import { demand, recordLog, sleep, startDaemon, writePaced, type Daemon } from '../harness/processes.ts'
import type { Bench, Family, Measured, Row } from '../harness/row.ts'
import { alternate, quantile } from '../harness/statistics.ts'
import { agesOf, shownLine, SPIKE, writeSpike, writeWide, type Read } from '../load/page-lines.ts'

const LINES_PER_SECOND = 1000
const SPIKE_POINTS = 1_000_000
const RUNS = 12
const METRICS = 60
const POINTS = 10_000
/** Charts of a first screen. */
const CHARTS = 9

/** As much of `ExposedChart` in `src/page/state/exposed.ts` as is looked at. */
interface Chart {
  isSeen: boolean
  x: object | null
  y: { max: number } | null
  lines: Record<string, { points: number; steps: number[]; values: number[] }>
}

/** What is used of the page's `globalThis`. */
interface Window {
  spanbridge?: { charts: Record<string, Chart> }
  document: { querySelector(selector: string): { textContent: string } | null }
  MutationObserver: new (heard: () => void) => { observe(of: object, what: Record<string, boolean>): void }
  /** Texts of a title. */
  read: Read[]
}

const VIEWPORT = { width: 1440, height: 900 }
const PATIENCE = { timeout: 120_000 }

/** Looks at the page of a daemon with a browser that has never seen it. */
async function looking<T>(
  daemon: Daemon,
  browser: Browser,
  hash: string,
  look: (page: Page) => Promise<T>,
): Promise<T> {
  if (daemon.webUrl === null) throw new Error('the daemon serves no page')
  const context = await browser.newContext({ viewport: VIEWPORT })
  try {
    const page = await context.newPage()
    await page.goto(`${daemon.webUrl}${hash}`, { waitUntil: 'commit' })
    return await look(page)
  } finally {
    await context.close()
  }
}

interface Ages {
  p50Ms: number
  p95Ms: number
  firstMs: number
}

/** A live run at 1,000 lines/s: how old each value is when it, or one behind it, stands on the page as text. */
async function live(bench: Bench, browser: Browser, round: number): Promise<Ages> {
  const stateDir = join(bench.work, `screen-${round}`)
  const daemon = await startDaemon(stateDir, [], { stdin: 'pipe' })
  try {
    return await looking(daemon, browser, '', async (page) => {
      await page.locator('.connection.live').waitFor(PATIENCE)
      const first = drawn(page, 'trainer/shown')
      const begin = Date.now()
      daemon.stdin!.write(shownLine(0, begin))
      const firstMs = (await first) - begin
      await watchValue(page, 'trainer/shown')
      const written = [begin]
      const seconds = bench.isQuick ? 5 : 20
      await writePaced(daemon, LINES_PER_SECOND, seconds, () => {
        written.push(Date.now())
        return shownLine(written.length - 1, written.at(-1)!)
      })
      await page
        .locator('[data-key="trainer/shown"] .value', { hasText: (written.length - 1).toLocaleString('en-US') })
        .waitFor(PATIENCE)
      const read = await page.evaluate(() => (globalThis as unknown as Window).read)
      const ages = agesOf(read, written)
      return { firstMs, p50Ms: quantile(ages, 0.5), p95Ms: quantile(ages, 0.95) }
    })
  } finally {
    await daemon.stop()
  }
}

/** When a chart of a key has been painted with a point in it, UTC ms. */
async function drawn(page: Page, key: string): Promise<number> {
  const handle = await page.waitForFunction(
    (wanted) => {
      const charts = (globalThis as unknown as Window).spanbridge?.charts ?? {}
      const lines = Object.values(charts[wanted]?.x === null ? {} : (charts[wanted]?.lines ?? {}))
      return lines.some(({ points }) => points > 0) ? Date.now() : null
    },
    key,
    { ...PATIENCE, polling: 'raf' },
  )
  return (await handle.jsonValue())!
}

/** Notes each text that the title of a chart shows from now on. */
const watchValue = (page: Page, key: string): Promise<void> =>
  page.evaluate((wanted) => {
    const window = globalThis as unknown as Window
    const value = window.document.querySelector(`[data-key="${wanted}"] .value`)!
    window.read = []
    const note = (): number => window.read.push([Date.now(), value.textContent])
    new window.MutationObserver(note).observe(value, { childList: true, characterData: true, subtree: true })
  }, key)

/** From the address to a picture in which the spike is. */
async function spike(stateDir: string, browser: Browser): Promise<number> {
  const daemon = await startDaemon(stateDir, [])
  try {
    return await looking(daemon, browser, runsHash(stateDir), async (page) => {
      const handle = await page.waitForFunction(
        ({ step, value }) => {
          const chart = (globalThis as unknown as Window).spanbridge?.charts['trainer/loss']
          const has = Object.values(chart?.lines ?? {}).some(
            ({ steps, values }) => values[steps.indexOf(step)] === value,
          )
          return has && chart!.y !== null && chart!.y.max >= value ? performance.now() : null
        },
        SPIKE,
        { ...PATIENCE, polling: 'raf' },
      )
      return (await handle.jsonValue())!
    })
  } finally {
    await daemon.stop()
  }
}

/** From the address to all lines of all charts of the first screen. */
async function many(stateDir: string, browser: Browser): Promise<number> {
  const daemon = await startDaemon(stateDir, [])
  try {
    return await looking(daemon, browser, runsHash(stateDir), async (page) => {
      const handle = await page.waitForFunction(
        ({ runs, least }) => {
          const charts = Object.values((globalThis as unknown as Window).spanbridge?.charts ?? {})
          const seen = charts.filter(({ isSeen }) => isSeen)
          const isDrawn = ({ x, lines }: Chart): boolean => x !== null && Object.keys(lines).length === runs
          return seen.length >= least && seen.every(isDrawn) ? performance.now() : null
        },
        { runs: RUNS, least: CHARTS },
        // To look copies all lines: not at each picture.
        { ...PATIENCE, polling: 20 },
      )
      return (await handle.jsonValue())!
    })
  } finally {
    await daemon.stop()
  }
}

const runsHash = (stateDir: string): string =>
  `#runs=${readStateDir(stateDir)
    .runs.map(({ run }) => run)
    .join()}`

/** A state directory with a long run that has a spike. */
async function withSpike(bench: Bench): Promise<string> {
  const stateDir = join(bench.work, 'spike')
  const log = `${stateDir}.jsonl`
  await writeSpike(log, SPIKE_POINTS)
  recordLog(stateDir, log)
  demand(stateDir, { points: SPIKE_POINTS, isDelivered: false })
  return stateDir
}

/** A state directory with many runs of many metrics. */
async function withMany(bench: Bench): Promise<string> {
  const stateDir = join(bench.work, 'many')
  const points = bench.isQuick ? POINTS / 10 : POINTS
  for (let run = 0; run < RUNS; run += 1) {
    const log = `${stateDir}.jsonl`
    await writeWide(log, points, METRICS)
    recordLog(stateDir, log, `run-${run}`)
  }
  demand(stateDir, { points: RUNS * METRICS * points, isDelivered: false })
  return stateDir
}

const row = (id: string, what: string, against: string, goal: Row['goal']): Row => ({
  id,
  what,
  against,
  unit: 'ms',
  goal,
  peer: 'chromium',
})

/** The page as a person has it, in a Chromium that has never seen it. */
export const family: Family = {
  rows: [
    row(
      'page-screen',
      'age of a value when it stands on the page, at 1,000 events/s, 95th percentile',
      'the time in its line',
      { atMost: 1000 },
    ),
    row('page-first', 'first chart of an open page, after the first point', 'the time in its line', { atMost: 1000 }),
    row(
      'page-spike',
      'first picture of a run of 1,000,000 points, its spike of one point in it',
      'the start of loading the page, in a browser that runs',
      { atMost: 2000 },
    ),
    row(
      'page-many',
      'nine charts of 12 runs, each of 60 metrics with 10,000 points',
      'the start of loading the page, in a browser that runs',
      null,
    ),
  ],
  async run(bench, wanted): Promise<Record<string, Measured | Error>> {
    bench.peers.path('chromium')
    usePage()
    const wants = (...ids: string[]): boolean => ids.some((id) => wanted.has(id))
    const spikeDir = wants('page-spike') ? await withSpike(bench) : ''
    const manyDir = wants('page-many') ? await withMany(bench) : ''
    const found = await alternate(bench.rounds, {
      live: (round) => (wants('page-screen', 'page-first') ? inBrowser((one) => live(bench, one, round)) : null),
      spike: () => (wants('page-spike') ? inBrowser((one) => spike(spikeDir, one)) : null),
      many: () => (wants('page-many') ? inBrowser((one) => many(manyDir, one)) : null),
    })
    const lively = found.live.filter((ages) => ages !== null)
    const medians = lively.map(({ p50Ms }) => p50Ms.toFixed(0)).join(', ')
    return {
      'page-screen': { values: lively.map(({ p95Ms }) => p95Ms), note: `median ${medians} ms` },
      'page-first': { values: lively.map(({ firstMs }) => firstMs) },
      'page-spike': { values: found.spike.filter((ms) => ms !== null) },
      'page-many': { values: found.many.filter((ms) => ms !== null) },
    }
  },
}

/** What a browser does when it has just started is not the page's. */
const SETTLE_MS = 500

async function inBrowser<T>(use: (browser: Browser) => Promise<T>): Promise<T> {
  const browser = await launchChromium()
  try {
    await sleep(SETTLE_MS)
    return await use(browser)
  } finally {
    await browser.close()
  }
}
