import { lineLook, type Mode } from '../chart/palette.ts'
import type { Panel, PanelLine } from './panel.ts'
import type { ReadLine } from './read.ts'

/** A line and the name of its run. */
export interface NamedLine extends ReadLine {
  runName: string
}

/** Puts lines into one panel, or (`isSplit`) into one for each key; each is called by what tells it from the others. */
export function panelsOf(lines: readonly NamedLine[], isSplit: boolean, mode: Mode): Panel[] {
  const groups = isSplit ? [...Map.groupBy(lines, ({ summary }) => summary.key).values()] : [lines]
  const names = namesOf(lines)
  const labels = labelsOf(lines)
  return groups.map((group) => {
    const runs = [...new Set(group.map(({ summary }) => summary.run))]
    const keys = new Set(group.map(({ summary }) => summary.key))
    const title = (line: NamedLine): string => labels.get(line.summary.key)!
    const name = (line: NamedLine): string => names.get(line.summary.run)!
    return {
      title: keys.size === 1 && runs.length > 1 ? title(group[0]!) : runs.map((run) => names.get(run)!).join(', '),
      lines: group.map((line, i): PanelLine => {
        const label = runs.length === 1 ? title(line) : keys.size === 1 ? name(line) : `${title(line)}, ${name(line)}`
        return { ...line, label, ...lineLook(i, mode) }
      }),
    }
  })
}

/** Labels by key, with their unit; where two keys have the same one, the keys themselves. */
function labelsOf(lines: readonly ReadLine[]): Map<string, string> {
  const labels = new Map(
    lines.map(({ summary: { key, label, unit } }) => [key, unit === null ? label : `${label} (${unit})`]),
  )
  const times = Map.groupBy(labels.values(), (label) => label)
  return new Map([...labels].map(([key, label]) => [key, times.get(label)!.length > 1 ? key : label]))
}

/** Names by run; where two runs have the same one, with the end of their ids. */
function namesOf(lines: readonly NamedLine[]): Map<string, string> {
  const names = new Map(lines.map(({ summary, runName }) => [summary.run, runName]))
  const times = Map.groupBy(names.values(), (name) => name)
  return new Map(
    [...names].map(([run, name]) => [run, times.get(name)!.length > 1 ? `${name} …${run.slice(-6)}` : name]),
  )
}
