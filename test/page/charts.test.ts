import { readFile } from 'node:fs/promises'
import type { Page } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import { chartsOf, lineOf, record, soon, startWithPage, visit, type Visit } from '../support/browser.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

const KEYS = ['loss', 'value_loss', 'entropy', 'kl', 'clip_fraction', 'grad_norm', 'lr', 'reward', 'mean_return']
const STEPS = 120

/** A run with nine metrics and, where asked for, values that are none and events. */
function* trained(seed: number, odd = false): Generator<object | string> {
  for (let step = 1; step <= STEPS; step++) {
    const fields = Object.fromEntries(KEYS.map((key, i) => [key, seed + i + Math.sin(step / (9 + i))]))
    yield { timestamp: new Date(1.7e12 + seed + step * 1000).toISOString(), category: 'TRAINER', step, ...fields }
    if (!odd) continue
    if (step === 40) yield '{"category":"TRAINER","step":40,"odd":NaN}'
    else if (step === 50) yield '{"category":"TRAINER","step":50,"odd":Infinity}'
    else yield { category: 'TRAINER', step, odd: step === 60 ? 500 : (step % 7) - 2 }
  }
}

async function shown(...names: string[]): Promise<Visit & { stateDir: string }> {
  const stateDir = temporaryDirectory()
  for (const [i, name] of names.entries()) await record(stateDir, name, trained(i, i === names.length - 1))
  const { url } = await startWithPage(['view'], { stateDir })
  const seen = await visit(url)
  await lineOf(seen.page, 'trainer/loss')
  return { ...seen, stateDir }
}

const card = (page: Page, key: string) => page.locator(`.card[data-key="${key}"]`)

async function drag(page: Page, key: string, from: number, to: number): Promise<void> {
  const box = (await card(page, key).locator('.overlay').boundingBox())!
  await page.mouse.move(box.x + box.width * from, box.y + box.height / 2)
  await page.mouse.down()
  await page.mouse.move(box.x + box.width * to, box.y + box.height / 2, { steps: 5 })
  await page.mouse.up()
}

describe('the first screen', () => {
  it('has at least nine whole charts of the newest run, with their last values, and asks nobody else', async () => {
    const { page, errors, foreign } = await shown('older', 'newer')
    const whole = await page
      .locator('.card')
      .evaluateAll((cards) => cards.filter((one) => one.getBoundingClientRect().bottom <= innerHeight).length)
    expect(whole).toBeGreaterThanOrEqual(9)
    await soon(() => page.locator('.legend').innerText()).toContain('newer')
    const last = 1 + Math.sin(STEPS / 9)
    await soon(() => card(page, 'trainer/loss').locator('.value').innerText()).toBe(last.toPrecision(4))
    expect((await lineOf(page, 'trainer/loss')).steps).toEqual(Array.from({ length: STEPS }, (_, i) => i + 1))
    expect(errors).toEqual([])
    expect(foreign).toEqual([])
  })

  it('names a chart once, without its category', async () => {
    const { page } = await shown('one')
    expect(await card(page, 'trainer/value_loss').locator('h3').innerText()).toBe('Value Loss')
    expect(await page.locator('.group h2').innerText()).toMatch(/trainer\s*10/)
  })
})

describe('what is known of a metric', () => {
  it('is its name in words, its unit, and where its values deserve a look or are bad', async () => {
    const stateDir = temporaryDirectory()
    const lines = Array.from({ length: 21 }, (_, i) => ({
      category: 'TRAINER',
      step: i,
      approx_kl: i / 100,
      tflops: i,
    }))
    await record(stateDir, 'one', lines)
    const { url } = await startWithPage(['view'], { stateDir })
    const { page } = await visit(url)
    await lineOf(page, 'trainer/approx_kl')
    await lineOf(page, 'trainer/tflops')
    expect(await card(page, 'trainer/tflops').locator('header').innerText()).toMatch(/Throughput\s+TFLOP\/s/)
    // Where the line is at 0.06: what is below 0.05, up to 0.1, and twice what is beyond. The axis goes to 0.2 and has air and labels.
    const colours = (): Promise<string[]> =>
      card(page, 'trainer/approx_kl')
        .locator('canvas')
        .first()
        .evaluate((canvas: HTMLCanvasElement) => {
          const pen = canvas.getContext('2d')!
          const at = (value: number): string =>
            [...pen.getImageData(canvas.width * 0.3, canvas.height * (0.85 - 0.8 * (value / 0.2)), 1, 1).data].join()
          return [0.02, 0.08, 0.11, 0.19].map(at)
        })
    await soon(async () => {
      const found = await colours()
      return found.map((colour) => found.indexOf(colour))
    }).toEqual([0, 1, 2, 2])
  })
})

describe('zoom', () => {
  it('by a drag shows the same range on all charts, stays over a reload, and a double click or going back ends it', async () => {
    const { page } = await shown('one')
    await drag(page, 'trainer/loss', 0.4, 0.7)
    await soon(async () => (await chartsOf(page))['trainer/kl']!.x!.min).toBeGreaterThan(20)
    const { x } = (await chartsOf(page))['trainer/loss']!
    expect((await chartsOf(page))['trainer/entropy']!.x).toEqual(x)
    await page.reload()
    await lineOf(page, 'trainer/loss')
    await soon(async () => (await chartsOf(page))['trainer/loss']?.x).toEqual(x)
    await page.goBack()
    await soon(async () => (await chartsOf(page))['trainer/loss']?.x).toEqual({ min: 1, max: STEPS })
    await drag(page, 'trainer/loss', 0.2, 0.5)
    await soon(async () => (await chartsOf(page))['trainer/loss']!.x!.max).toBeLessThan(STEPS)
    await card(page, 'trainer/loss').locator('.overlay').dblclick()
    await soon(async () => (await chartsOf(page))['trainer/loss']?.x).toEqual({ min: 1, max: STEPS })
  })

  it('into a long run brings its points, and before that no spike is lost', async () => {
    const stateDir = temporaryDirectory()
    const lines = function* (): Generator<string> {
      for (let step = 1; step <= 200_000; step++)
        yield `{"category":"trainer","step":${step},"loss":${step === 155_555 ? 5 : 1 + (step % 50) / 1000}}`
    }
    await record(stateDir, 'long', lines())
    const { url } = await startWithPage(['view'], { stateDir })
    const { page } = await visit(url)
    const line = await lineOf(page, 'trainer/loss')
    expect(line.isRaw).toBe(false)
    expect(line.max).toBe(5)
    expect(line.steps[line.values.indexOf(5)]).toBe(155_555)
    expect([line.steps[0], line.steps.at(-1)]).toEqual([1, 200_000])
    await soon(() => card(page, 'trainer/loss').innerText()).toContain('200,000 points, extremes kept')
    await page.goto(`${page.url().replace(/#.*/, '')}#zoom=155500,155600`)
    await soon(async () => Object.values((await chartsOf(page))['trainer/loss']!.lines)[0]!.isRaw).toBe(true)
    expect((await lineOf(page, 'trainer/loss')).steps).toEqual(Array.from({ length: 101 }, (_, i) => 155_500 + i))
  })
})

describe('what a person changes', () => {
  it('filters charts by a part of their name, a glob and a regular expression', async () => {
    const { page } = await shown('one')
    await page.keyboard.press('/')
    await page.keyboard.type('loss')
    await soon(() => page.locator('.card').count()).toBe(2)
    await page.locator('#filter').fill('/kl|lr/')
    await soon(() => page.locator('.card').count()).toBe(2)
    await page.locator('#filter').fill('/(/')
    await soon(() => page.locator('[role=alert]').innerText()).toContain('regular expression')
    expect(await page.locator('.card').count()).toBe(10)
  })

  it('smooths over the line as it came, and says how much', async () => {
    const { page } = await shown('one')
    await page.getByLabel('Smoothing').fill('0.6')
    await soon(async () => (await lineOf(page, 'trainer/loss')).smoothed?.length).toBe(STEPS)
    const { smoothed, values } = await lineOf(page, 'trainer/loss')
    expect(values[STEPS - 1]).toBeCloseTo(Math.sin(STEPS / 9), 9)
    expect(smoothed![0]).toBeCloseTo(values[0]!, 9)
    expect(smoothed![STEPS - 1]).not.toBeCloseTo(values[STEPS - 1]!, 4)
    expect(await page.locator('.slider output').innerText()).toBe('0.60')
  })

  it('is told what a logarithmic axis and the cut of outliers do not show', async () => {
    const { page } = await shown('one')
    const notes = (): Promise<string> => card(page, 'trainer/odd').locator('footer').innerText()
    await soon(notes).toBe('1 NaN · 1 infinite')
    expect((await lineOf(page, 'trainer/odd')).odd.map(({ step }) => step)).toEqual([40, 50])
    await page.getByRole('switch', { name: 'Cut outliers' }).click()
    await soon(notes).toContain('1 outlier hidden')
    expect((await chartsOf(page))['trainer/odd']!.y!.max).toBeLessThan(10)
    await page.getByRole('switch', { name: 'Cut outliers' }).click()
    await page.keyboard.press('l')
    const below = Array.from({ length: STEPS }, (_, i) => i + 1).filter(
      (step) => step % 7 <= 2 && ![40, 50, 60].includes(step),
    )
    await soon(notes).toContain(`log cannot show ${below.length} points ≤ 0`)
  })

  it('changes the axis to time and to the time since the first point', async () => {
    const { page } = await shown('one')
    await page.getByRole('button', { name: 'Relative' }).click()
    await soon(async () => (await chartsOf(page))['trainer/loss']!.x).toEqual({ min: 0, max: (STEPS - 1) * 1000 })
    await page.getByRole('button', { name: 'Time', exact: true }).click()
    await soon(async () => (await chartsOf(page))['trainer/loss']!.x).toEqual({
      min: 1.7e12 + 1000,
      max: 1.7e12 + STEPS * 1000,
    })
  })

  it('pins a chart to the top, enlarges it by a key, and both stay over a reload', async () => {
    const { page } = await shown('one')
    await card(page, 'trainer/lr').locator('.plot').focus()
    await page.keyboard.press('p')
    await soon(() => page.locator('.group').first().innerText()).toContain('Pinned')
    await card(page, 'trainer/lr').locator('.plot').focus()
    await page.keyboard.press('Enter')
    await soon(async () => (await card(page, 'trainer/lr').boundingBox())!.width).toBeGreaterThan(1200)
    await page.reload()
    await soon(async () => (await card(page, 'trainer/lr').boundingBox())?.width).toBeGreaterThan(1200)
    expect(await page.locator('.group').first().innerText()).toContain('Pinned')
  })

  it('sees the values of all runs at the cursor, in all charts at the same step', async () => {
    const { page } = await shown('older', 'newer')
    await page.getByRole('link', { name: 'Runs' }).click()
    await page.getByLabel('Show older on the charts').check()
    await page.getByRole('link', { name: 'Charts' }).click()
    await soon(async () => Object.keys((await chartsOf(page))['trainer/loss']?.lines ?? {}).length).toBe(2)
    const overlay = card(page, 'trainer/loss').locator('.overlay')
    // Charts move while the second run comes in.
    await soon(async () => {
      await overlay.hover({ position: { x: 150, y: 60 } })
      return page.locator('.tooltip tr').count()
    }).toBe(2)
    const tooltip = await page.locator('.tooltip').innerText()
    expect(tooltip).toMatch(/step \d+/)
    expect(tooltip).toContain('older')
    const step = Number(/step (\d+)/.exec(tooltip)![1])
    const kl = 1 + 3 + Math.sin(step / 12)
    await soon(() => card(page, 'trainer/kl').locator('.value').innerText()).toBe(String(Number(kl.toPrecision(4))))
  })
})

describe('a chart', () => {
  it('is saved as CSV with every point, as SVG and as PNG', async () => {
    const { page } = await shown('one')
    const saved = async (item: string): Promise<Buffer> => {
      await card(page, 'trainer/loss')
        .getByRole('button', { name: /More for/ })
        .click()
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        page.getByRole('menuitem', { name: item }).click(),
      ])
      return readFile(await download.path())
    }
    const csv = (await saved('Save all points as CSV')).toString().trim().split('\n')
    expect(csv[0]).toBe('run,step,time,value')
    expect(csv).toHaveLength(1 + STEPS)
    expect(Number(csv[STEPS]!.split(',')[3])).toBeCloseTo(Math.sin(STEPS / 9), 12)
    const svg = (await saved('Save as SVG')).toString()
    expect(svg).toMatch(/^<svg xmlns/)
    expect(svg).toContain('>Loss</text>')
    expect((await saved('Save as PNG')).subarray(1, 4).toString()).toBe('PNG')
  })

  it('asks for data only when it is seen', async () => {
    const stateDir = temporaryDirectory()
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`metric_${i}`, i]))
    await record(
      stateDir,
      'wide',
      [1, 2, 3].map((step) => ({ category: 'TRAINER', step, ...many })),
    )
    const { url } = await startWithPage(['view'], { stateDir })
    const { page, requests } = await visit(url)
    await lineOf(page, 'trainer/metric_0')
    const asked = (): number => requests.filter((path) => path.startsWith('/api/v1/series')).length
    expect(asked()).toBeLessThan(30)
    await card(page, 'trainer/metric_50').scrollIntoViewIfNeeded()
    await lineOf(page, 'trainer/metric_50')
    expect(asked()).toBeLessThan(60)
  })
})
