import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, it } from 'vitest'
import { parse, stringify } from 'yaml'
import { readFlags } from '../../src/config/flags.ts'
import { loadSettings, type Env } from '../../src/config/load.ts'
import { GENERATED } from '../../src/config/sample.ts'
import { VERB_FLAGS } from '../../src/config/verb-flags.ts'
import { envOf, flagOf, SETTING_NAMES, settingOf, type SettingName } from '../../src/config/settings.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

const root = new URL('../../', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8')
const load = (argv: readonly string[], env: Env = {}) => loadSettings(readFlags(argv, false), env)
const validate = new Ajv2020({ allowUnionTypes: true }).compile(
  JSON.parse(read('config/spanbridge.schema.json')) as object,
)

/** A value for every kind of setting, as text and as the file has it. */
const VALUES: Readonly<Record<string, readonly [text: string, file: unknown]>> = {
  TEXT: ['some text', 'some text'],
  '[=NAME]': ['some-run', 'some-run'],
  'true|false': ['true', true],
  N: ['12345', 12345],
  DURATION: ['1500ms', '1500ms'],
  'DURATION|off': ['1500ms', '1500ms'],
  'BYTES|off': ['500MB', '500MB'],
  'A,B,...': ['a,b', ['a', 'b']],
  'NAME=VALUE': ['a=1,b=2', { a: '1', b: '2' }],
  'NAME=VALUE,...': ['a=1,b=2', { a: '1', b: '2' }],
  'HOST:PORT|off': ['127.0.0.1:4400', '127.0.0.1:4400'],
  'NAME=A+B': ['a=x+y', { a: ['x', 'y'] }],
  'KEY=LABEL,...': ['a=A,b=B', { a: 'A', b: 'B' }],
  DIRECTIVES: ['info,a::b=off', 'info,a::b=off'],
}
const valueFor = (name: SettingName): readonly [text: string, file: unknown] => {
  const { shape } = settingOf(name).type
  const last = shape.split('|').at(-1)!
  return VALUES[shape] ?? [last, last]
}

function fileWith(content: unknown): string {
  const path = join(temporaryDirectory(), 'spanbridge.yaml')
  writeFileSync(path, stringify(content))
  return path
}

const nested = (name: string, value: unknown): unknown => {
  const [group, inner] = name.split('.')
  return inner === undefined ? { [group!]: value } : { [group!]: { [inner]: value } }
}

describe('every setting', () => {
  it.each(SETTING_NAMES)('%s has one value by flag, environment and file, and its source is told', (name) => {
    const [text, inFile] = valueFor(name)
    const { env = [], flag } = settingOf(name)
    const dotted = fileWith({ [name]: inFile })
    const spelled = flag === undefined ? flagOf(name) : `--${flag}`
    const values =
      text.includes('=') && flag !== undefined
        ? text.split(',').flatMap((each) => [spelled, each])
        : [`${spelled}=${text}`]
    const ways: [string, ReturnType<typeof load>][] = [
      [spelled, load(values)],
      [envOf(name), load([], { [envOf(name)]: text })],
      ...env.map((variable): [string, ReturnType<typeof load>] => [variable, load([], { [variable]: text })]),
      [`${dotted}: ${name}`, load(['--config', dotted])],
    ]
    const expected = settingOf(name).type.fromFile(inFile)
    for (const [source, { settings, sources }] of ways) {
      expect(settings[name], source).toEqual(expected)
      expect(sources[name]).toBe(source)
    }
    expect(load(['--config', fileWith(nested(name, inFile))]).settings[name]).toEqual(expected)
    for (const content of [{ [name]: inFile }, nested(name, inFile)])
      expect(validate(content), JSON.stringify(validate.errors)).toBe(true)
  })

  it('is in the sample file, the schema and the documentation as it is in the code', () => {
    for (const [path, content] of Object.entries(GENERATED))
      expect(read(path), `${path} is made by: node src/config/sample.ts`).toBe(content())
  })

  it('has the default that the sample file shows, which the schema takes', () => {
    const lines = read('config/spanbridge.yaml').split('\n')
    const uncommented = lines.map((line) => line.replace(/^# (?=[a-zA-Z.]+:|  )/, '')).join('\n')
    const content = parse(uncommented) as Record<string, unknown>
    expect(Object.keys(content).sort()).toEqual([...SETTING_NAMES].sort())
    expect(validate(content), JSON.stringify(validate.errors)).toBe(true)
    const { settings, problems } = load(['--config', fileWith(content)])
    expect(problems).toEqual([])
    expect(settings).toEqual(load([]).settings)
  })
})

it('the schema refuses what the loader refuses', () => {
  const wrong: unknown[] = [
    { runnName: 'x' },
    { mlflow: { trackingUrl: 'x' } },
    { quiet: 'yes please' },
    { channel: { capacity: 5 } },
    { 'steps.fields': 'step' },
    { stdin: 'maybe' },
    { shutdown: { deadline: 'soon' } },
    { filter: ['info'] },
  ]
  for (const content of wrong) {
    expect(validate(content), JSON.stringify(content)).toBe(false)
    expect(load(['--config', fileWith(content)]).problems.length, JSON.stringify(content)).toBeGreaterThan(0)
  }
})

describe('the documentation', () => {
  const documents = ['README.md', 'runbook.md', ...readdirSync(new URL('docs/', root)).map((name) => `docs/${name}`)]
  const ours = new Set([
    '--config',
    '--contract',
    '--json',
    '--rejected',
    '--help',
    '--version',
    '--no-web',
    ...Object.keys(VERB_FLAGS),
  ])
  for (const name of SETTING_NAMES) {
    ours.add(flagOf(name))
    ours.add(`--no-${flagOf(name).slice(2)}`)
    if (settingOf(name).flag !== undefined) ours.add(`--${settingOf(name).flag}`)
  }

  it.each(documents)('%s names only flags and variables that there are', (path) => {
    const text = read(path)
    const variables = text.match(/SPANBRIDGE_[A-Z_]+/g) ?? []
    const known = [...SETTING_NAMES.map(envOf), 'SPANBRIDGE_SIGNALS_IGNORED']
    expect(variables.filter((variable) => !known.includes(variable))).toEqual([])
    // Flags of ours: in commands that begin with spanbridge up to the command that is run, and alone between backticks.
    const commands = text.match(/spanbridge [^\n`|#]*/g) ?? []
    const flags = [
      ...commands.flatMap((command) => command.split(' -- ')[0]!.split(/[\s=]/)),
      ...Array.from(text.matchAll(/`(--[a-z-]+)[=` ]/g), (match) => match[1]!),
    ].filter((word) => word.startsWith('--') && word !== '--')
    expect(flags.filter((flag) => !ours.has(flag) && !OTHERS.has(flag))).toEqual([])
  })
})

/** Flags of other programs that stand alone in the text. */
const OTHERS: ReadonlySet<string> = new Set([
  '--allowed-hosts',
  '--api-key',
  '--invocation-count-for-maglev',
  '--invocation-count-for-turbofan',
  '--journal-mb',
  '--kills',
  '--no-incremental-marking',
  '--no-maglev',
  '--no-parallel-scavenge',
  '--no-turbofan',
  '--optimize-for-size',
  '--quick',
  '--seed',
  '--single-threaded-gc',
])
