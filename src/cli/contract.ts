import { fstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Readable } from 'node:stream'
import { ContractChecker, type Breach } from '../contract/checker.ts'
import { ContractError, readContract, unknownCategories, type Contract } from '../contract/contract.ts'
import { compileRules } from '../layer/rules.ts'
import { rulesOf } from '../config/load.ts'
import { nearest } from '../config/nearest.ts'
import { PACKAGE } from '../config/place.ts'
import { parseLine } from '../receivers/lines/parse.ts'
import { LineShapes } from '../receivers/lines/shape.ts'
import { LineSplitter } from '../receivers/lines/split.ts'
import { escapeControl, safeJson } from '../telemetry/say.ts'
import { number, table } from '../telemetry/words.ts'
import type { Context } from './app.ts'
import { EXIT } from './exit-codes.ts'

/** A log that breaks its contract. */
const BROKEN = 1

/** `check --contract`: holds the log on standard input against a contract. */
export async function checkContract(context: Context, name: string): Promise<number> {
  const { flags, loaded, stdout, voice } = context
  let contract: Contract
  try {
    contract = readContract(pathOf(name))
  } catch (error) {
    if (!(error instanceof ContractError)) throw error
    for (const problem of error.problems) voice.say(problem)
    return EXIT.usage
  }
  if (process.stdin.isTTY)
    voice.say('check: reading the log from the terminal; expected one on standard input: < log.jsonl')
  const rules = compileRules(rulesOf(loaded.settings))
  const unknown = unknownCategories(contract, rules)
  for (const problem of unknown) voice.say(`${name}: ${problem}`)
  if (unknown.length > 0) return EXIT.usage
  const checker = new ContractChecker(contract, rules)
  let lines: number
  try {
    lines = await readInto(checker, new LineShapes(rules, loaded.settings['layer.wrappers']), process.stdin)
  } catch (error) {
    voice.say(`check: the log on standard input cannot be read (${(error as Error).message})`)
    return EXIT.usage
  }
  const breaches = checker.finish()
  const report = flags.json
    ? safeJson({ contract: name, lines, events: checker.events, breaches, unkept: checker.unkept })
    : describe(name, lines, checker, breaches)
  stdout.write(Buffer.from(`${report}\n`))
  return breaches.length > 0 ? BROKEN : EXIT.ok
}

const OURS = fileURLToPath(new URL('config/contracts/', PACKAGE))

/** A file, or the name of one that comes with Spanbridge. @throws ContractError */
function pathOf(name: string): string {
  if (!/^[\w-]+$/.test(name)) return name
  const known = readdirSync(OURS).map((file) => file.replace(/\.yaml$/, ''))
  if (!known.includes(name))
    throw new ContractError([
      `there is no contract '${name}'${nearest(name, known)}; expected one of ${known.join(', ')}, or a file (./${name})`,
    ])
  return join(OURS, `${name}.yaml`)
}

/** Reads a log to its end; returns how many lines it has. */
async function readInto(checker: ContractChecker, shapes: LineShapes, input: Readable): Promise<number> {
  if (fstatSync(0).isDirectory()) throw new Error('it is a directory')
  let lines = 0
  const take = (text: string): void => {
    lines += 1
    const parsed = parseLine(text)
    if (parsed !== null && typeof parsed !== 'string') checker.event(shapes.read(parsed.fields), lines)
  }
  const splitter = new LineSplitter({ line: take, last: take, tooLong: () => (lines += 1) })
  for await (const chunk of input) splitter.push(chunk as Buffer)
  splitter.end()
  return lines
}

function describe(
  name: string,
  lines: number,
  { events, unkept }: ContractChecker,
  breaches: readonly Breach[],
): string {
  const read = `${number(events)} events with metrics in ${number(lines)} lines`
  if (breaches.length === 0) return `the log holds the contract ${name}: ${read}`
  const rows = breaches.map(({ problem, category, field, expected, found, count, line }) => [
    category,
    field ?? '(the event)',
    problem,
    expected,
    found,
    number(count),
    line === null ? '-' : number(line),
  ])
  const head = ['category', 'field', 'problem', 'expected', 'found', 'times', 'line']
  return [
    ...table([head, ...rows.map((row) => row.map(escapeControl))], 5),
    ...(unkept === 0 ? [] : [`  and ${number(unkept)} more of other kinds`]),
    `the log breaks the contract ${name} in ${number(breaches.length)} ${breaches.length === 1 ? 'way' : 'ways'}: ${read}`,
  ].join('\n')
}
