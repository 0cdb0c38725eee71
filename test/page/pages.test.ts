import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Page } from 'playwright-core'
import { describe, expect, it, onTestFinished } from 'vitest'
import { lineOf, soon, record, startWithPage, visit, type Visit } from '../support/browser.ts'
import { FakeMlflow } from '../support/fake-mlflow.ts'
import { statusOf, temporaryDirectory } from '../support/spanbridge.ts'

const steps = (n: number): object[] =>
  Array.from({ length: n }, (_, i) => ({ category: 'TRAINER', step: i + 1, loss: 1 / (i + 1) }))
const config = (rate: number): object => ({ message: 'startup', learning_rate: rate, gamma: 0.99 })

const view = async (stateDir: string): Promise<Visit> => visit((await startWithPage(['view'], { stateDir })).url)
const go = (page: Page, tab: string): Promise<void> => page.getByRole('link', { name: tab, exact: true }).click()
const row = (page: Page, name: string) => page.locator('tbody tr').filter({ hasText: name })

describe('the runs page', () => {
  it('renames a run, archives one, and deletes one after a question that names it', async () => {
    const stateDir = temporaryDirectory()
    for (const name of ['first', 'second', 'third']) await record(stateDir, name, steps(5))
    const { page } = await view(stateDir)
    await go(page, 'Runs')
    await soon(() => page.locator('tbody tr').count()).toBe(3)
    await page.getByRole('button', { name: 'Rename first' }).click()
    await page.keyboard.press('ControlOrMeta+a')
    await page.keyboard.type('with a better name')
    await page.keyboard.press('Enter')
    await row(page, 'with a better name').waitFor()
    await page.getByRole('button', { name: 'Archive second' }).click()
    await soon(() => page.locator('tbody tr').count()).toBe(2)
    await page.getByRole('switch', { name: 'Show 1 archived' }).click()
    await row(page, 'second').waitFor()
    await page.getByRole('button', { name: 'Delete third' }).first().click()
    expect(await page.getByRole('dialog').innerText()).toContain('5 points')
    await page.getByRole('dialog').getByRole('button', { name: 'Delete third' }).click()
    await soon(() => row(page, 'third').count()).toBe(0)
    expect((await statusOf(stateDir)).map(({ name }) => name)).toEqual(['first', 'second'])
    await page.reload()
    await row(page, 'with a better name').waitFor()
  })

  it('says with a word what became of a run, sorts by a column and finds by name', async () => {
    const stateDir = temporaryDirectory()
    await record(stateDir, 'short', steps(3))
    await record(stateDir, 'long', steps(30))
    const { page } = await view(stateDir)
    await go(page, 'Runs')
    expect(await row(page, 'long').innerText()).toContain('finished')
    await page.getByRole('button', { name: 'Points' }).click()
    expect(await page.locator('tbody tr').first().innerText()).toContain('long')
    await page.getByRole('button', { name: 'Points' }).click()
    await soon(() => page.locator('tbody tr').first().innerText()).toContain('short')
    await page.getByPlaceholder(/Search/).fill('lon')
    await soon(() => page.locator('tbody tr').count()).toBe(1)
  })

  it('has for each run its last step, how long it took, and the last value and course of what is watched most', async () => {
    const stateDir = temporaryDirectory()
    await record(
      stateDir,
      'one',
      steps(91).map((line, i) => ({ ...line, reward: i / 2 })),
    )
    const { page } = await view(stateDir)
    await go(page, 'Runs')
    await row(page, 'one').locator('svg.spark path').nth(1).waitFor()
    const cells = await row(page, 'one').locator('td').allInnerTexts()
    const heads = (await page.locator('thead th').allInnerTexts()).map((text) => text.replace(/ [↑↓]/, ''))
    const cell = (head: string): string => cells[heads.indexOf(head)]!.trim()
    expect([cell('Last step'), cell('Points'), cell('Pending')]).toEqual(['91', '182', '0'])
    expect(cell('Duration')).toMatch(/^[\d.]+ m?s$/)
    expect([cell('trainer · Loss'), cell('trainer · Reward')]).toEqual(['0.01099', '45'])
    await page.getByRole('button', { name: 'trainer · Loss' }).click()
    expect(await page.locator('th[aria-sort=descending]').innerText()).toContain('Loss')
    await page.getByRole('button', { name: 'one', exact: true }).click()
    await lineOf(page, 'trainer/loss', 91)
  })
})

describe('the events page', () => {
  it('has warnings and errors with their fields, by level and by words, and leads to their step on the charts', async () => {
    const stateDir = temporaryDirectory()
    await record(stateDir, 'one', [
      ...steps(9),
      { level: 'WARN', message: 'gradient is large', target: 'ppo::learner', category: 'TRAINER', step: 4, norm: 9.5 },
      { level: 'INFO', message: 'all is well', category: 'TRAINER', step: 5 },
      { level: 'ERROR', message: 'loss is NaN', category: 'TRAINER', step: 7, batch: 'b-12' },
    ])
    const { page, errors } = await view(stateDir)
    await go(page, 'Events')
    const rows = page.locator('.events li')
    const said = async (): Promise<string> => (await rows.allInnerTexts()).join(' | ')
    await soon(() => rows.count()).toBe(2)
    expect(await said()).toMatch(
      /ERROR.*step 7.*loss is NaN.*batch\s+b-12.*WARN.*step 4.*gradient is large.*norm\s+9\.5/s,
    )
    await page.getByRole('button', { name: 'Errors' }).click()
    await soon(said).not.toContain('gradient')
    expect(await said()).toContain('loss is NaN')
    await page.getByRole('button', { name: 'All', exact: true }).click()
    await page.getByPlaceholder(/Search: message/).fill('learner')
    await soon(said).not.toContain('NaN')
    expect(await said()).toContain('gradient is large')
    await page.getByRole('button', { name: 'step 4' }).click()
    await soon(() => page.locator('.toolbar').innerText()).toContain('Mark at step 4')
    await page.goBack()
    await soon(() => rows.count()).toBe(1)
    expect(errors).toEqual([])
  })
})

describe('the delivery page', () => {
  it('has the numbers of the account, and for what is on no chart the reason, an example and what to do', async () => {
    const stateDir = temporaryDirectory()
    await record(stateDir, 'one', [
      ...steps(20),
      { message: 'gpu', temperature: 61, load: 0.5 },
      'warming up',
      config(1e-3),
    ])
    const { page } = await view(stateDir)
    await page.locator('.undelivered').click()
    const [status] = await statusOf(stateDir)
    const said = await page.locator('.flow').innerHTML()
    for (const n of [status!.received.numbers, status!.points, status!.journaled.points, status!.skipped['no_step']!])
      expect(said).toContain(`<tspan class="n">${n}</tspan>`)
    const reasons = await page.locator('.delivery').innerText()
    expect(reasons).toContain('Log a field named step')
    expect(reasons).toContain('"temperature":61')
    expect(reasons).toContain('not JSON')
    expect(reasons).toContain('No tracker is set')
  })

  it('counts what a tracker that is not there has still to get, in view on every page, with its last error', async () => {
    const stateDir = temporaryDirectory()
    const tracker = ['--mlflow-tracking-uri', 'http://127.0.0.1:9', '--shutdown-deadline', '1s']
    const { running, url } = await startWithPage(
      [
        'exec',
        '--run-name',
        'alone',
        ...tracker,
        '--',
        process.execPath,
        '-e',
        'for (let step = 1; step < 51; step++) console.log(JSON.stringify({ category: "TRAINER", step, loss: 1 })); setInterval(() => {}, 1000)',
      ],
      { stateDir },
    )
    const { page } = await visit(url)
    await soon(() => page.locator('.undelivered').innerText()).toMatch(/5\d\s*pending/)
    await page.locator('.undelivered').click()
    await soon(() => page.locator('.destination.suspended').innerText()).toContain('connection refused')
    expect(await page.locator('.destination.suspended').innerText()).toContain('tried again within ten seconds')
    running.child.kill('SIGTERM')
  })

  it('says how fast a tracker takes points that is slower than they come, and how far behind it is', async () => {
    const mlflow = await FakeMlflow.start()
    const answers: (() => void)[] = []
    onTestFinished(() => answers.forEach((answer) => answer()))
    mlflow.fault = async ({ path }) => {
      if (path.endsWith('/log-batch')) await new Promise<void>((resolve) => answers.push(resolve))
      return false
    }
    const stateDir = temporaryDirectory()
    const trainer =
      'for (let step = 1; step < 20_001; step++) console.log(JSON.stringify({ category: "TRAINER", step, loss: 1 })); setInterval(() => {}, 1000)'
    const { running, url } = await startWithPage(
      ['exec', '--mlflow-tracking-uri', mlflow.url, '--shutdown-deadline', '1s', '--', process.execPath, '-e', trainer],
      { stateDir },
    )
    const { page } = await visit(url)
    await soon(() => page.locator('.undelivered').innerText()).toMatch(/20,000\s*pending/)
    await page.locator('.undelivered').click()
    // Each look lets one answer go: so many looks, so slow a tracker.
    const said = async (): Promise<string> => {
      answers.shift()?.()
      return page.locator('.destination .state').innerText()
    }
    await soon(said).toMatch(/takes [\d,.]+ points a second; [\d.]+ \w+ left for what is pending/)
    running.child.kill('SIGTERM')
  })
})

describe('a page without a chart', () => {
  it('says what is watched and what was skipped, and its test line makes the first chart', async () => {
    const { url } = await startWithPage(['run', '--stdin', 'off', '--otlp-http-listen', '127.0.0.1:0'])
    const { page, errors } = await visit(url)
    await soon(() => page.locator('.empty').innerText()).toContain('127.0.0.1:')
    const line = await page.locator('.command pre').first().innerText()
    execFileSync('sh', ['-c', line])
    await lineOf(page, 'misc/loss')
    expect(errors).toEqual([])
  })

  it('names a followed file that holds no lines, and says what makes lines of it', async () => {
    const log = join(temporaryDirectory(), 'train.jsonl.gz')
    writeFileSync(log, gzipSync('{"step":1,"loss":2}'))
    const { url } = await startWithPage(['run', '--stdin', 'off', '--otlp-http-listen', 'off', '--file', log])
    const { page } = await visit(url)
    const empty = (): Promise<string> => page.locator('.empty').innerText()
    await soon(empty).toContain(`got bytes packed by gzip; to have them: gunzip -k ${log}`)
    expect(await empty()).not.toContain('Nothing to do')
  })

  it('shows what came without a step, with an example', async () => {
    const stateDir = temporaryDirectory()
    await record(stateDir, 'one', [{ message: 'gpu', temperature: 61 }])
    const { page } = await view(stateDir)
    await soon(() => page.locator('.empty').innerText()).toContain('"temperature":61')
    expect(await page.locator('.empty').innerText()).toContain('Log a field named step')
  })
})

describe('the params page', () => {
  it('puts runs beside each other, and on request only what differs', async () => {
    const stateDir = temporaryDirectory()
    await record(stateDir, 'slow', [config(0.001), ...steps(2)])
    await record(stateDir, 'fast', [config(0.1), ...steps(2)])
    const { page } = await view(stateDir)
    await go(page, 'Runs')
    await page.getByLabel('Show slow on the charts').check()
    await go(page, 'Params')
    await soon(() => row(page, 'learning_rate').innerText()).toMatch(/0\.1.*0\.001/s)
    expect(await row(page, 'gamma').count()).toBe(1)
    await page.getByRole('switch', { name: 'Only what differs' }).click()
    await soon(() => row(page, 'gamma').count()).toBe(0)
    expect(await row(page, 'learning_rate').count()).toBe(1)
  })
})

describe('the timeline', () => {
  it('shows where the time of each step went, and a span in words', async () => {
    const stateDir = temporaryDirectory()
    const { running } = await startWithPage(
      ['exec', '--otlp-http-listen', 'off', '--', process.execPath, 'examples/ppo.ts', '2'],
      { stateDir },
    )
    running.child.stdout.resume()
    await running.finished
    const { page, errors } = await view(stateDir)
    await go(page, 'Timeline')
    await soon(() => page.locator('.names').innerText()).toMatch(/rollout|optimi/)
    await page.locator('.waterfall').focus()
    await page.keyboard.press('ArrowDown')
    await soon(() => page.locator('.detail').innerText()).toContain('took')
    const spans = async (): Promise<number> => Number.parseInt(await page.locator('.toolbar .muted').innerText(), 10)
    const all = await spans()
    await page.keyboard.press('+')
    await soon(() => page.locator('.toolbar').innerText()).toContain('in view: show all')
    await page.keyboard.press('r')
    await soon(() => page.locator('.toolbar').innerText()).not.toContain('show all')
    const box = (await page.locator('.waterfall').boundingBox())!
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2)
    for (let turn = 0; turn < 5; turn += 1) await page.mouse.wheel(0, -300)
    await soon(() => page.locator('.toolbar').innerText()).toContain('in view: show all')
    await soon(spans).toBeLessThan(all)
    await page.getByRole('button', { name: /show all/ }).click()
    await soon(spans).toBe(all)
    expect(errors).toEqual([])
  })
})

const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js')

describe.each(['light', 'dark'] as const)('in %s colours', (colorScheme) => {
  it('axe finds nothing wrong on any page, and nothing is wider than a phone', async () => {
    const stateDir = temporaryDirectory()
    await record(stateDir, 'one', [config(0.1), ...steps(20), { message: 'gpu', temperature: 61 }])
    await record(stateDir, 'two', [
      config(0.2),
      ...steps(20),
      { level: 'WARN', message: 'gradient is large', step: 3, norm: 9 },
    ])
    const { url } = await startWithPage(['view'], { stateDir })
    const { page, errors } = await visit(url, { colorScheme, bypassCSP: true })
    await lineOf(page, 'trainer/loss')
    await go(page, 'Runs')
    await page.getByLabel('Show one on the charts').check()
    for (const tab of ['Charts', 'Runs', 'Timeline', 'Events', 'Params', 'Delivery']) {
      await page.setViewportSize({ width: 1440, height: 900 })
      await go(page, tab)
      await page.waitForFunction(() => !document.body.innerText.includes('Adding up'))
      await page.addScriptTag({ path: axe })
      const found = await page.evaluate(async () => {
        const { axe: checker } = globalThis as unknown as {
          axe: {
            run: () => Promise<{ violations: { id: string; nodes: { html: string; failureSummary: string }[] }[] }>
          }
        }
        const { violations } = await checker.run()
        return violations.map(({ id, nodes }) => `${id}: ${nodes[0]!.html} ${nodes[0]!.failureSummary}`)
      })
      expect(found, tab).toEqual([])
      await page.setViewportSize({ width: 360, height: 780 })
      expect(await page.evaluate(() => document.documentElement.scrollWidth), tab).toBeLessThanOrEqual(360)
    }
    expect(errors).toEqual([])
  })
})

describe('the page itself', () => {
  it('is below 0.3 MB over the wire, and lists its keys at ?', async () => {
    const stateDir = temporaryDirectory()
    await record(stateDir, 'one', steps(3))
    const { page } = await view(stateDir)
    await lineOf(page, 'trainer/loss')
    const bytes = await page.evaluate(() =>
      performance
        .getEntriesByType('resource')
        .filter(({ name }) => !name.includes('/api/'))
        .reduce((sum, entry) => sum + (entry as PerformanceResourceTiming).transferSize, 0),
    )
    expect(bytes).toBeGreaterThan(10_000)
    expect(bytes).toBeLessThan(300_000)
    await page.keyboard.press('?')
    expect(await page.getByRole('dialog').innerText()).toContain('show everything again after a zoom')
    await page.keyboard.press('Escape')
    await soon(() => page.getByRole('dialog').count()).toBe(0)
  })
})
