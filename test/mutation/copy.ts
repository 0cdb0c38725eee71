import { createHash } from 'node:crypto'
import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Instrumenter } from '@stryker-mutator/instrumenter'

export const ROOT = fileURLToPath(new URL('../../', import.meta.url))
/** What the simulation and the tests need beside `src`. */
const PARTS = ['src', 'test', 'bin', 'config', 'package.json']
/** A folder of the copy for temporary files. */
export const SCRATCH = 'tmp'

/** One change of the code, which is switched on by its `id` where the copy runs. */
export interface Mutant {
  id: string
  /** The same for the same change of the same file. */
  key: string
  file: string
  /** From 1. */
  line: number
  /** The line as it stands there. */
  source: string
  mutator: string
  original: string
  replacement: string
}

const hash = (...texts: readonly string[]): string =>
  texts.reduce((sum, text) => sum.update(text).update('\0'), createHash('sha256')).digest('hex')

const LEVELS = ['Trace', 'Debug', 'Info', 'Warn', 'Error', 'Fatal']
const never = (): boolean => false
/** A logger that says nothing. */
const quiet = Object.fromEntries(
  LEVELS.flatMap((level) => [
    [level.toLowerCase(), never],
    [`is${level}Enabled`, never],
  ]),
) as unknown as ConstructorParameters<typeof Instrumenter>[0]

/** All mutants of the files, by StrykerJS's mutators, and the files with all of them in it. */
export async function instrument(pattern: string): Promise<{ mutants: Mutant[]; files: Map<string, string> }> {
  const names = globSync(pattern, { cwd: ROOT }).sort()
  if (names.length === 0) throw new Error(`no file is ${pattern}`)
  const texts = new Map(names.map((name) => [name, readFileSync(join(ROOT, name), 'utf8')]))
  const { files, mutants } = await new Instrumenter(quiet).instrument(
    Array.from(texts, ([name, content]) => ({ name, content, mutate: true })),
    { ignorers: [], excludedMutations: [], plugins: null },
  )
  return {
    files: new Map(files.map(({ name, content }) => [name, content])),
    mutants: mutants.map(({ id, fileName, mutatorName, replacement, location: { start, end } }) => {
      const text = texts.get(fileName)!
      const lines = text.split('\n').slice(start.line, end.line + 1)
      const last = lines.length - 1
      const original = lines.map((line, i) =>
        line.slice(i === 0 ? start.column : 0, i === last ? end.column : undefined),
      )
      return {
        id,
        key: hash(text, mutatorName, JSON.stringify([start, end]), replacement),
        file: fileName,
        line: start.line + 1,
        source: lines[0]!.trim(),
        mutator: mutatorName,
        original: original.join('\n'),
        replacement,
      }
    }),
  }
}

/** A copy of the repository, with these files in place of its own; gone when this process ends. */
export function copyWith(files: ReadonlyMap<string, string>): string {
  const copy = mkdtempSync(join(tmpdir(), 'spanbridge-mutants-'))
  process.once('exit', () => rmSync(copy, { recursive: true, force: true }))
  for (const part of PARTS) cpSync(join(ROOT, part), join(copy, part), { recursive: true })
  mkdirSync(join(copy, SCRATCH))
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
  for (const [name, content] of files) writeFileSync(join(copy, name), content)
  return copy
}

/** Changes with every change of code or tests. */
export const stateOf = (): string =>
  hash(
    ...globSync('{src,test}/**/*.ts', { cwd: ROOT, exclude: ['test/mutation/**'] })
      .sort()
      .map((name) => readFileSync(join(ROOT, name), 'utf8')),
  )
