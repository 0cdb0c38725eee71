import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, expect, onTestFinished } from 'vitest'
import type { ExposedChart } from '../../src/page/state/exposed.ts'
import { launchChromium } from './chromium.ts'
import { pageOf } from './served.ts'
import { startBridge, temporaryDirectory, type Running } from './spanbridge.ts'

let browser: Promise<Browser> | null = null
afterAll(async () => (await browser)?.close())

/** One browser for the tests of a file. */
const launch = (): Promise<Browser> => (browser ??= launchChromium())

export interface Visit {
  page: Page
  /** What the browser's console calls an error, and exceptions. */
  errors: string[]
  /** Paths that were asked for, with their query. */
  requests: string[]
  /** What was asked of anybody else. */
  foreign: string[]
}

/** Opens a page in a profile of its own. */
export async function visit(url: string, options: BrowserContextOptions = {}): Promise<Visit> {
  const context = await (
    await launch()
  ).newContext({ viewport: { width: 1440, height: 900 }, acceptDownloads: true, ...options })
  onTestFinished(() => context.close())
  const page = await context.newPage()
  const seen: Visit = { page, errors: [], requests: [], foreign: [] }
  page.on('console', (message) => {
    if (message.type() === 'error') seen.errors.push(message.text())
  })
  page.on('pageerror', (error) => seen.errors.push(String(error)))
  page.on('request', (request) => {
    const asked = new URL(request.url())
    if (asked.origin === new URL(url).origin) seen.requests.push(asked.pathname + asked.search)
    else if (asked.protocol !== 'blob:') seen.foreign.push(request.url())
  })
  await page.goto(url)
  return seen
}

/** Something will be so before long. */
export const soon = <T>(look: () => T | Promise<T>) => expect.poll(look, { timeout: 20_000 })

/** What is drawn, by key. */
export const chartsOf = (page: Page): Promise<Record<string, ExposedChart>> =>
  page.evaluate(
    () => (globalThis as unknown as { spanbridge: { charts: Record<string, ExposedChart> } }).spanbridge.charts,
  )

/** Waits until the only line of a chart has so many points, and gives it back. */
export async function lineOf(page: Page, key: string, points = 1): Promise<ExposedChart['lines'][string]> {
  const line = async (): Promise<ExposedChart['lines'][string] | undefined> =>
    Object.values((await chartsOf(page))[key]?.lines ?? {})[0]
  await soon(async () => (await line())?.points ?? 0).toBeGreaterThanOrEqual(points)
  return (await line())!
}

/** Where a running process serves its page, with its token. */
export async function addressOf(running: Running, stateDir: string): Promise<string> {
  const { base, token } = await pageOf(running, stateDir)
  return `${base}/?token=${token}`
}

/** Starts spanbridge with its page on a free port; `args` begin with the verb. */
export async function startWithPage(
  [verb, ...rest]: readonly string[],
  { stateDir = temporaryDirectory(), port = 0 }: { stateDir?: string; port?: number } = {},
): Promise<{ running: Running; stateDir: string; url: string }> {
  const web = `127.0.0.1:${port}`
  const running = startBridge([verb ?? 'run', '--state-dir', stateDir, '--web-listen', web, ...rest])
  return { running, stateDir, url: await addressOf(running, stateDir) }
}

/** Bridges lines into a journal, to its end. */
export async function record(
  stateDir: string,
  name: string,
  lines: Iterable<object | string>,
  args: readonly string[] = [],
): Promise<void> {
  const running = startBridge(['run', '--state-dir', stateDir, '--run-name', name, '--quiet', ...args])
  running.child.stdout.resume()
  let text = ''
  for (const line of lines) {
    text += `${typeof line === 'string' ? line : JSON.stringify(line)}\n`
    if (text.length < 1 << 20) continue
    running.child.stdin.write(text)
    text = ''
  }
  running.child.stdin.end(text)
  const { code, stderr } = await running.finished
  expect(code, stderr).toBe(0)
}
