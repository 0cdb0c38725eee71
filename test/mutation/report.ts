import { ACCEPTED } from './accepted.ts'
import type { Mutant } from './copy.ts'
import type { Verdict } from './lane.ts'

export type Judged = Mutant & Verdict

const MAX_CHARACTERS = 70

const brief = (code: string): string => {
  const line = code.replaceAll(/\s+/g, ' ')
  return line.length > MAX_CHARACTERS ? `${line.slice(0, MAX_CHARACTERS)}…` : line
}

export const told = ({ file, line, mutator, original, replacement }: Mutant): string =>
  `${file}:${line} ${mutator}: ${brief(original)} -> ${brief(replacement)}`

const COLUMNS = ['mutants', 'simulation', 'tests', 'survived', 'not covered', 'caught'] as const

function row(name: string, judged: readonly Judged[]): string {
  const count = (is: (one: Judged) => boolean): number => judged.filter(is).length
  const cells = [
    judged.length,
    count(({ caught }) => caught === 'simulation'),
    count(({ caught }) => caught === 'tests'),
    count(({ caught, isCovered }) => caught === null && isCovered),
    count(({ isCovered }) => !isCovered),
    `${(100 * shareOf(judged)).toFixed(1)} %`,
  ]
  return name.padEnd(34) + cells.map((cell, i) => String(cell).padStart(COLUMNS[i]!.length + 2)).join('')
}

/** How much of them was caught. */
export const shareOf = (judged: readonly Judged[]): number =>
  judged.filter(({ caught }) => caught !== null).length / judged.length

/** Why nothing need notice it, for those that have been looked at. */
export const reasonOf = ({ file, source, replacement }: Mutant): string | undefined =>
  ACCEPTED.find((one) => one.file === file && one.line === source && one.replacement === replacement)?.reason

/** Counts by file, and what nothing has noticed. */
export function report(judged: readonly Judged[]): string {
  const files = [...new Set(judged.map(({ file }) => file))].sort()
  const survived = judged.filter(({ caught, isCovered }) => caught === null && isCovered)
  const list = (title: string, mutants: readonly Mutant[]): string[] =>
    mutants.length === 0 ? [] : ['', `${title}:`, ...mutants.map(told)]
  const accepted = survived.filter((mutant) => reasonOf(mutant) !== undefined)
  return [
    `${' '.repeat(34)}${COLUMNS.map((column) => `  ${column}`).join('')}`,
    ...files.map((name) =>
      row(
        name,
        judged.filter(({ file }) => file === name),
      ),
    ),
    row('all', judged),
    ...list(
      'survived',
      survived.filter((mutant) => reasonOf(mutant) === undefined),
    ),
    ...list(
      'not covered',
      judged.filter(({ isCovered }) => !isCovered),
    ),
    ...(accepted.length === 0 ? [] : ['', 'survived, and changes nothing that matters:']),
    ...accepted.map((mutant) => `${told(mutant)}\n    ${reasonOf(mutant)}`),
  ].join('\n')
}
