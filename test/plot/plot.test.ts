import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { python } from '../support/python.ts'
import { spanbridge, temporaryDirectory } from '../support/spanbridge.ts'
import { stateDirWith } from '../support/stored-runs.ts'

/** Steps from 1, with the value of each. */
const series = (
  key: string,
  count: number,
  valueOf: (step: number) => number,
): { key: string; value: number; step: number; time: number }[] =>
  Array.from({ length: count }, (_, i) => ({
    key,
    value: valueOf(i + 1),
    step: i + 1,
    time: 1_700_000_000_000 + i * 1000,
  }))

async function drawn(stateDir: string, ...words: string[]): Promise<{ svg: string; said: string }> {
  const out = join(temporaryDirectory(), 'chart.svg')
  const { code, stderr } = await spanbridge(['plot', '--state-dir', stateDir, ...words, '--out', out], '', {
    env: { TZ: 'UTC' },
  })
  expect([code, stderr]).toEqual([0, expect.stringContaining(out)])
  return { svg: readFileSync(out, 'utf8'), said: stderr }
}

const textsOf = (svg: string): string[] =>
  Array.from(svg.matchAll(/<text [^>]*>([^<]*)<\/text>/g), (match) => match[1]!)

/** Lines with the least y of each, the top; or another one. */
const topsOf = (svg: string, color: string, of = Math.min): number[] =>
  Array.from(svg.matchAll(new RegExp(`<path d="([^"]*)" fill="none" stroke="${color}"`, 'g')), ([, path]) =>
    of(...Array.from(path!.matchAll(/[ML][\d.-]+ ([\d.-]+)/g), (match) => Number(match[1]))),
  )

const BLUE = '#0b62c4'
const ORANGE = '#c64600'

describe('plot', () => {
  it('draws one metric with its label, its last value, few round ticks, and says how many points it has', async () => {
    const stateDir = stateDirWith({ ppo: series('trainer/rollout_duration_ms', 400, (step) => 1500 + step) })
    const { svg, said } = await drawn(stateDir, 'ppo', 'trainer/rollout_duration_ms')
    const texts = textsOf(svg)
    expect(texts).toContain('Rollout Duration (ms): 1,900')
    expect(texts).toEqual(
      expect.arrayContaining(['100', '200', '300', '400', '1.6k', '1.8k', 'by step · 400 points', 'ppo']),
    )
    expect(said).toContain('1,200 x 600 pixels, 1 line, 400 points')
  })

  it('keeps the spike of one step in a long run, and says that it is no raw line', async () => {
    const stateDir = stateDirWith({ ppo: series('loss', 20_000, (step) => (step === 13_777 ? 50 : Math.sin(step))) })
    const { svg } = await drawn(stateDir, 'latest', 'loss')
    const [top] = topsOf(svg, BLUE)
    expect(textsOf(svg)).toContain('by step · 20,000 points, extremes kept')
    // The spike is the top of the axis, and everything else lies at its foot.
    expect(top).toBeLessThan(80)
    const whole = await drawn(stateDir, 'latest', 'loss', '--from', '13778', '--to', '13800')
    expect(textsOf(whole.svg)).toContain('by step · 23 points')
  })

  it('shows NaN and infinite values as marks with their number', async () => {
    const odd = (step: number): number => (step === 50 ? Number.NaN : step % 40 === 0 ? Infinity : 1 / step)
    const stateDir = stateDirWith({ ppo: series('loss', 100, odd) })
    const { svg } = await drawn(stateDir, 'ppo', 'loss', '--log')
    expect(textsOf(svg)).toContain('by step · 100 points · × 1 NaN · ▲ 2 infinite')
    const crosses = svg.match(
      /<path d="M[\d.]+ [\d.]+L[\d.]+ [\d.]+M[\d.]+ [\d.]+L[\d.]+ [\d.]+" fill="none" stroke="#c62828"/g,
    )
    expect([crosses?.length, svg.match(/Z" fill="#c62828"/g)?.length]).toEqual([1, 2])
  })

  it('draws where a value is bad as a faint band, and smooths with the raw line behind', async () => {
    const stateDir = stateDirWith({ ppo: series('trainer/approx_kl', 100, (step) => ((step + 1) % 2) * 0.2) })
    const { svg } = await drawn(stateDir, 'ppo', 'approx_kl', '--smooth', '0.9')
    expect(svg.match(/<rect [^>]* fill="#c62828" opacity="0.075"/g)?.length).toBe(1)
    const [raw, smoothed] = topsOf(svg, BLUE)
    expect(raw).toBeLessThan(smoothed!)
    expect(textsOf(svg)).toContain('by step · 100 points · smoothed 0.9, raw behind')
  })

  it('smooths a long series over means and not over the extremes that are drawn, as the page does, and says so', async () => {
    const spikes = series('loss', 50_000, (step) => (step % 10 === 0 ? 100 : 0))
    for (const turn of [1, 7]) {
      const points = spikes.map((point, i) => ({ ...point, step: (i * turn) % 50_000 }))
      const { svg } = await drawn(stateDirWith({ ppo: points }), 'ppo', 'loss', '--smooth', '0.9')
      const [top, smoothed] = topsOf(svg, BLUE)
      const [bottom] = topsOf(svg, BLUE, Math.max)
      // The mean is 10; that of the extremes would be 50.
      expect((bottom! - smoothed!) / (bottom! - top!)).toBeLessThan(0.3)
      expect(textsOf(svg)).toContain('by step · 50,000 points, extremes kept · smoothed 0.9 over means, raw behind')
    }
  })

  it('draws several keys and runs in colours of their own, each with a name and its last value', async () => {
    const stateDir = stateDirWith({
      a: [...series('x/loss', 50, (step) => 1 / step), ...series('x/entropy', 50, (step) => step)],
      b: series('x/loss', 50, (step) => 2 / step),
    })
    const keys = await drawn(stateDir, 'a', 'x/*')
    expect(textsOf(keys.svg)).toEqual(expect.arrayContaining(['a', 'Loss  0.02', 'Entropy  50']))
    expect([topsOf(keys.svg, BLUE).length, topsOf(keys.svg, ORANGE).length]).toEqual([2, 2])
    const runs = await drawn(stateDir, 'a', 'loss', '--run', 'b')
    expect(textsOf(runs.svg)).toEqual(expect.arrayContaining(['Loss', 'a  0.02', 'b  0.04']))
    const split = await drawn(stateDir, 'a', 'x/*', '--split')
    expect(textsOf(split.svg)).toEqual(expect.arrayContaining(['Loss: 0.02', 'Entropy: 50']))
    expect(split.svg).toContain('width="1200" height="720"')
  })

  it('counts time from the first point of each run, or shows the time of day', async () => {
    const stateDir = stateDirWith({ ppo: series('loss', 600, (step) => step) })
    const relative = await drawn(stateDir, 'ppo', 'loss', '--axis', 'relative', '--to', '5m')
    expect(textsOf(relative.svg)).toEqual(
      expect.arrayContaining(['1:00', '4:00', 'since the first point · 301 points']),
    )
    const time = await drawn(stateDir, 'ppo', 'loss', '--axis', 'time', '--from', '2023-11-14T22:15:00Z')
    expect(textsOf(time.svg)).toEqual(expect.arrayContaining(['22:16', 'by local time · 500 points']))
  })

  it('makes a PNG of the size that was asked for, with its line and its text', async () => {
    const stateDir = stateDirWith({ ppo: series('loss', 100, (step) => step) })
    const out = join(temporaryDirectory(), 'chart.png')
    const args = [
      'plot',
      '--state-dir',
      stateDir,
      'ppo',
      'loss',
      '--width',
      '900',
      '--height',
      '500',
      '--theme',
      'dark',
    ]
    expect((await spanbridge([...args, '--out', out])).code).toBe(0)
    const count = `
import sys
from PIL import Image
image = Image.open(sys.argv[1]).convert('RGB')
pixels = list(image.getdata())
near = lambda a, b: all(abs(x - y) < 30 for x, y in zip(a, b))
title = list(image.crop((0, 0, 900, 40)).getdata())
print(image.size, image.getpixel((2, 2)), sum(near(p, (95, 176, 255)) for p in pixels) > 800, sum(near(p, (236, 239, 243)) for p in title) > 40)
`
    expect(await python(count, out)).toBe('(900, 500) (20, 23, 27) True True\n')
  })

  it('says which packages a PNG needs where they are not installed, and draws an SVG without them', async () => {
    const stateDir = stateDirWith({ ppo: series('loss', 3, (step) => step) })
    const out = join(temporaryDirectory(), 'chart')
    const hooks = `import { registerHooks } from 'node:module'
      registerHooks({ resolve(name, context, next) {
        if (name.startsWith('@resvg/')) throw new Error('Cannot find package')
        return next(name, context)
      } })`
    const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(hooks)}` }
    const plot = (ending: string) =>
      spanbridge(['plot', '--state-dir', stateDir, 'ppo', 'loss', '--out', out + ending], '', { env })
    const png = await plot('.png')
    expect([png.code, png.stderr]).toEqual([
      2,
      expect.stringContaining('npm install @resvg/resvg-wasm @fontsource/dejavu-sans'),
    ])
    expect((await plot('.svg')).code).toBe(0)
  })

  it('holds foreign text as text', async () => {
    const key = 'x/<script>&"\u001b\ufffe\ud800'
    const stateDir = stateDirWith({ 'a & b': series(key, 3, (step) => step) })
    const { svg } = await drawn(stateDir, 'latest', '*')
    expect(textsOf(svg)[0]).toBe('&lt;script&gt;&amp;&quot;\ufffd\ufffd\ufffd: 3')
    const parse = 'import sys, xml.dom.minidom as dom; print(dom.parse(sys.argv[1]).documentElement.tagName)'
    const out = join(temporaryDirectory(), 'chart.svg')
    await spanbridge(['plot', '--state-dir', stateDir, 'latest', '*', '--out', out])
    expect(await python(parse, out)).toBe('svg\n')
  })

  it('says all that is wrong at once, and the nearest keys', async () => {
    const stateDir = stateDirWith({
      ppo: [...series('trainer/policy_loss', 1, () => 1), ...series('trainer/entropy', 1, () => 1)],
    })
    const said = async (...words: string[]): Promise<string> => {
      const { code, stderr } = await spanbridge(['plot', '--state-dir', stateDir, ...words])
      expect(code).toBe(2)
      return stderr
    }
    expect(await said('ppo', 'trainer/polcy_loss', '--out', 'a.svg')).toBe(
      "spanbridge: plot: there is no metric 'trainer/polcy_loss'; the nearest are: trainer/policy_loss, trainer/entropy\n",
    )
    const wrong = await said(
      'ppo',
      'x',
      '--out',
      'a.gif',
      '--axis',
      'day',
      '--smooth',
      '2',
      '--width',
      '5',
      '--from',
      'soon',
    )
    expect(wrong.split('\n').length).toBe(6)
    expect(wrong).toContain("--out: expected a file that ends with .png or .svg, got 'a.gif'")
    expect(wrong).toContain("--from: expected a step, got 'soon'")
    expect(await said('ppo', '--out', 'a.svg')).toContain('expected a run and at least one key')
    expect(await said('ppo', 'x', '--out')).toContain('--out: expected a value behind it, got nothing')
  })
})
