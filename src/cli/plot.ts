import { writeFileSync } from 'node:fs'
import { count, counted } from '../chart/format.ts'
import { panelsOf, type NamedLine } from '../plot/panels.ts'
import { svgOf } from '../plot/picture.ts'
import { NoRenderer, pngOf } from '../plot/png.ts'
import { readLine, type ReadOptions } from '../plot/read.ts'
import type { Context } from './app.ts'
import { EXIT } from './exit-codes.ts'
import { keysMeant } from './keys.ts'
import { openRuns, Refusal, type OpenRun } from './open-run.ts'
import { plotOptionsOf, type PlotOptions } from './plot-options.ts'

/** `plot`: draws metrics of runs into a picture, without a browser. */
export async function plot(context: Context): Promise<number> {
  const { flags, voice } = context
  const options = plotOptionsOf(flags)
  if ('problems' in options) {
    for (const problem of options.problems) voice.say(`plot: ${problem}`)
    return EXIT.usage
  }
  let runs: OpenRun[] = []
  try {
    const [first, ...words] = flags.rest
    if (first === undefined || words.length === 0)
      throw new Refusal('expected a run and at least one key, such as: plot latest trainer/loss --out loss.png')
    runs = openRuns([first, ...(flags.own.get('--run') ?? [])], context)
    for (const { history } of runs) history.refresh()
    const known = [...new Set(runs.flatMap(({ history }) => history.series().map(({ key }) => key)))]
    const lines = linesOf(runs, keysMeant(words, known), options.picture(1), (text) => voice.say(`plot: ${text}`))
    voice.say(`plot: ${await draw(lines, options)}`)
    return EXIT.ok
  } catch (error) {
    voice.say(`plot: ${(error as Error).message}`)
    return error instanceof Refusal || error instanceof NoRenderer ? EXIT.usage : EXIT.incomplete
  } finally {
    for (const { history } of runs) history.close()
  }
}

function linesOf(
  runs: readonly OpenRun[],
  keys: readonly string[],
  options: ReadOptions,
  say: (text: string) => void,
): NamedLine[] {
  return keys.flatMap((key) =>
    runs.flatMap(({ status, history }) => {
      const line = readLine(history, key, options)
      if (line === null) say(`${status.name} (${status.run}) has no ${key}`)
      return line === null ? [] : [{ ...line, runName: status.name }]
    }),
  )
}

/** Writes the picture. @returns what it is, in words */
async function draw(lines: readonly NamedLine[], { out, isSplit, picture }: PlotOptions): Promise<string> {
  const panels = panelsOf(lines, isSplit, picture(1).mode)
  const options = picture(panels.length)
  const svg = svgOf(panels, options)
  writeFileSync(out, /\.png$/i.test(out) ? await pngOf(svg) : svg)
  const points = lines.reduce((n, { drawn }) => n + drawn.points, 0)
  const kept = lines.every(({ drawn }) => drawn.isRaw) ? '' : ', extremes kept'
  return `${out}: ${count(options.width)} x ${count(options.height)} pixels, ${counted(lines.length, 'line')}, ${counted(points, 'point')}${kept}`
}
