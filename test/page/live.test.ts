import { describe, expect, it, onTestFinished } from 'vitest'
import type { Chart } from '../../src/web/api.ts'
import { chartsOf, lineOf, record, soon, startWithPage, visit } from '../support/browser.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

const trainer = (steps: number, everyMs: number): string[] => [
  'exec',
  '--run-name',
  'live',
  '--otlp-http-listen',
  'off',
  '--',
  process.execPath,
  '-e',
  `let step = 0
  const timer = setInterval(() => {
    step += 1
    console.log(JSON.stringify({ category: 'TRAINER', step, loss: 1 / step, level: step % 10 ? 'INFO' : 'WARN', message: 'at ' + step }))
    if (step === ${steps}) clearInterval(timer), setTimeout(() => {}, 60_000)
  }, ${everyMs})`,
]

describe('a page of a run that goes on', () => {
  it('appends each point once, without asking for the line again, and shows the last value', async () => {
    const { url, running } = await startWithPage(trainer(150, 20))
    const { page, requests, errors } = await visit(url)
    await lineOf(page, 'trainer/loss', 3)
    const ends = await lineOf(page, 'trainer/loss', 150)
    expect(ends.steps).toEqual(Array.from({ length: 150 }, (_, i) => i + 1))
    expect(ends.values).toEqual(Array.from({ length: 150 }, (_, i) => 1 / (i + 1)))
    expect(ends.last).toBe(1 / 150)
    expect(requests.filter((path) => path.startsWith('/api/v1/series'))).toHaveLength(1)
    running.child.kill('SIGTERM')
    await running.finished
    expect(errors.filter((text) => !text.includes('ERR_'))).toEqual([])
  })

  it('shows a chart by itself when the first number comes, and marks of warnings at their steps', async () => {
    const { url } = await startWithPage(trainer(400, 20))
    const { page } = await visit(url)
    await lineOf(page, 'trainer/loss', 30)
    await page.getByRole('link', { name: 'Events' }).click()
    await soon(() => page.locator('.events li').count()).toBeGreaterThanOrEqual(3)
    const step = (await page.locator('.events li .link').first().innerText()).replace('step ', '')
    await page.locator('.events li .link').first().click()
    await soon(() => page.locator('.toolbar').innerText()).toContain(`Mark at step ${step}`)
    expect(decodeURIComponent(page.url())).toMatch(new RegExp(`mark=\\w+,\\d+,${step}$`))
  })

  it('says within two seconds that the daemon is gone, and misses nothing when it is back', async () => {
    const stateDir = temporaryDirectory()
    const first = await startWithPage(trainer(2000, 15), { stateDir })
    const { page } = await visit(first.url)
    await lineOf(page, 'trainer/loss', 20)
    expect(await page.locator('.connection').innerText()).toContain('live')
    const port = Number(new URL(first.url).port)
    first.running.child.kill('SIGKILL')
    const killedAt = Date.now()
    await page.locator('.connection.gone').waitFor({ timeout: 2000 })
    expect(Date.now() - killedAt).toBeLessThan(2000)
    expect(await page.locator('.connection').innerText()).toMatch(/gone since \d\d:\d\d:\d\d/)
    await startWithPage(['view'], { stateDir, port })
    await page.locator('.connection.live').waitFor()
    const { run } = (await chartsOf(page))['trainer/loss'] === undefined ? { run: '' } : { run: await runOf() }
    const wanted = await page.evaluate(async (id) => {
      const answer = await fetch(`api/v1/series?run=${id}&key=trainer%2Floss&width=4000`)
      return (await answer.json()) as unknown
    }, run)
    const { steps } = (wanted as Chart).lines[0]!
    await soon(async () => (await lineOf(page, 'trainer/loss')).steps).toEqual(steps)
    expect(new Set(steps).size).toBe(steps.length)

    async function runOf(): Promise<string> {
      return Object.keys((await chartsOf(page))['trainer/loss']!.lines)[0]!
    }
  })

  it('that is not seen asks for nothing, and catches up when it is seen again', async () => {
    const { url } = await startWithPage(trainer(3000, 10))
    const { page, requests } = await visit(url)
    await lineOf(page, 'trainer/loss', 10)
    const hide = (hidden: boolean): Promise<void> =>
      page.evaluate((isHidden) => {
        Object.defineProperty(document, 'hidden', { configurable: true, get: () => isHidden })
        document.dispatchEvent(new Event('visibilitychange'))
      }, hidden)
    await hide(true)
    await soon(() => page.locator('.connection').innerText()).toContain('paused')
    const asked = requests.length
    const { points } = await lineOf(page, 'trainer/loss')
    // The trainer goes on: the daemon has the points, and the page does not.
    await soon(() =>
      page.evaluate(
        async () => ((await (await fetch('api/v1/state')).json()) as { runs: { points: number }[] }).runs[0]!.points,
      ),
    ).toBeGreaterThan(points + 50)
    expect((await lineOf(page, 'trainer/loss')).points).toBe(points)
    expect(requests.slice(asked).filter((path) => path !== '/api/v1/state')).toEqual([])
    await hide(false)
    const { steps } = await lineOf(page, 'trainer/loss', points + 60)
    expect(steps).toEqual(Array.from({ length: steps.length }, (_, i) => i + 1))
  })

  it('listens once, however quickly runs are ticked, and asks for the lines of all of them at once', async () => {
    const stateDir = temporaryDirectory()
    const names = ['a', 'b', 'c', 'd']
    for (const name of names)
      await record(
        stateDir,
        name,
        [1, 2].map((step) => ({ category: 'TRAINER', step, loss: 1 })),
      )
    const { url } = await startWithPage(['view'], { stateDir })
    const { page, requests } = await visit(`${url}#tab=runs`)
    await soon(() => page.locator('tbody tr').count()).toBe(names.length)
    await page.locator('.connection.live').waitFor()
    const open = new Set<string>()
    page.on('request', (request) => void (request.url().includes('/live') && open.add(request.url())))
    page.on('requestfailed', (request) => open.delete(request.url()))
    await page.evaluate(() => {
      for (const box of document.querySelectorAll<HTMLInputElement>('tbody input:not(:checked)')) box.click()
    })
    await page.locator('.connection.live').waitFor()
    await soon(() => open.size).toBe(1)
    await page.getByRole('link', { name: 'Charts' }).click()
    await soon(async () => Object.keys((await chartsOf(page))['trainer/loss']?.lines ?? {})).toHaveLength(names.length)
    expect(open.size).toBe(1)
    expect(requests.filter((path) => path.startsWith('/api/v1/series'))).toHaveLength(1)
  })

  it('whose daemon is gone tries its charts once a second, and shows them when it is back', async () => {
    const stateDir = temporaryDirectory()
    const first = await startWithPage(trainer(20, 10), { stateDir })
    const { page, requests } = await visit(first.url)
    await lineOf(page, 'trainer/loss', 20)
    first.running.child.kill('SIGKILL')
    await page.locator('.connection.gone').waitFor()
    const before = requests.length
    await page.keyboard.press('x')
    await soon(() => page.locator('.card').first().innerText()).toContain('does not answer')
    const asked = (): number => requests.slice(before).filter((path) => path.startsWith('/api/v1/series')).length
    const from = Date.now()
    await soon(asked).toBeGreaterThanOrEqual(4)
    expect(Date.now() - from).toBeGreaterThan(1800)
    await startWithPage(['view'], { stateDir, port: Number(new URL(first.url).port) })
    await soon(() => page.locator('.card').first().innerText()).not.toContain('does not answer')
    expect((await chartsOf(page))['trainer/loss']!.x!.min).toBeGreaterThan(1e12)
  })

  it('that hears nothing of a run that goes on says so, asks only when somebody looks, and sees a daemon that stands still', async () => {
    const { url, running } = await startWithPage(trainer(5, 10))
    const { page, requests } = await visit(url)
    await lineOf(page, 'trainer/loss', 5)
    const mark = (): Promise<string> => page.locator('.connection').innerText()
    await page.evaluate(() => {
      const now = Date.now.bind(Date)
      Date.now = () => now() + 11_000
    })
    await soon(mark).toContain('no news since')
    const asked = requests.length
    await page.mouse.move(300, 300)
    await soon(mark).toContain('live')
    expect(requests.slice(asked)).toEqual(['/api/v1/state'])
    running.child.kill('SIGSTOP')
    onTestFinished(() => void running.child.kill('SIGCONT'))
    await page.evaluate(() => {
      const now = Date.now.bind(Date)
      Date.now = () => now() + 11_000
    })
    await soon(mark).toContain('no news since')
    await page.mouse.move(400, 300)
    await soon(mark).toContain('gone since')
    running.child.kill('SIGCONT')
    await soon(mark).toContain('live')
  })
})
