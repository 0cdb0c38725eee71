import { flagOf, SETTING_NAMES, settingOf, type SettingName } from './settings.ts'
import { bool, switchOrName } from './types.ts'
import { nearest } from './nearest.ts'
import { flagsOf, VERB_FLAGS } from './verb-flags.ts'

/** Flags that are no settings. */
const OTHER_FLAGS = ['--config', '--contract', '--json', '--rejected', '--help', '--version'] as const

/** A command line taken apart. */
export interface Flags {
  /** Values as they were written, several when a flag was repeated. */
  values: Map<SettingName, string[]>
  config: string | null
  /** Name or file of a contract, for `check`. */
  contract: string | null
  json: boolean
  /** Under `sync`: what was refused is sent once more. */
  rejected: boolean
  /** Flags of the verb's own with their values, a switch with an empty one. */
  own: Map<string, string[]>
  help: boolean
  version: boolean
  /** What is no flag: under exec, the command. */
  rest: string[]
  problems: string[]
}

const byFlag = new Map<string, SettingName>(
  SETTING_NAMES.flatMap((name) => {
    const alias = settingOf(name).flag
    return [[flagOf(name), name] as const, ...(alias === undefined ? [] : [[`--${alias}`, name] as const])]
  }),
)

/** Words behind a switch that are its value and not the beginning of a command. */
const SWITCH_WORDS: ReadonlySet<string> = new Set(['true', 'false', 'on', 'off', 'yes', 'no', '0', '1'])

/** Whether a word is one of our flags: it is no value of another. `--flag=--word` is. */
const isOurs = (word: string, verb: string): boolean => {
  const [flag] = word.split('=')
  return byFlag.has(flag!) || (OTHER_FLAGS as readonly string[]).includes(flag!) || isOwn(flag!, verb)
}

const isOwn = (flag: string, verb: string): boolean =>
  Object.hasOwn(VERB_FLAGS, flag) && VERB_FLAGS[flag]!.verbs.includes(verb)

const isSwitch = (name: SettingName): boolean => ([bool, switchOrName] as unknown[]).includes(settingOf(name).type)

/**
 * Reads `--name value`, `--name=value`, switches (`--quiet`, `--quiet false`, `--no-quiet`), `--no-web`, and `--`.
 * `untilCommand`: the first word that is no flag begins the command, and nothing behind it is ours.
 * `verb`: whose own flags are known.
 */
export function readFlags(argv: readonly string[], untilCommand: boolean, verb = 'run'): Flags {
  const flags: Flags = {
    values: new Map(),
    config: null,
    contract: null,
    json: false,
    rejected: false,
    own: new Map(),
    help: false,
    version: false,
    rest: [],
    problems: [],
  }
  for (let i = 0; i < argv.length; i += 1) {
    const word = argv[i]!
    if (word === '--') {
      flags.rest.push(...argv.slice(i + 1))
      break
    }
    if (!word.startsWith('-') || word === '-') {
      flags.rest.push(...(untilCommand ? argv.slice(i) : [word]))
      if (untilCommand) break
      continue
    }
    const equals = word.indexOf('=')
    const flag = word === '-h' ? '--help' : word === '-V' ? '--version' : equals < 0 ? word : word.slice(0, equals)
    const inline = equals < 0 ? null : word.slice(equals + 1)
    const next = argv[i + 1]
    if (takeFlag(flags, flag, { verb, inline, next })) i += 1
  }
  return flags
}

/** A flag as it stands there: `inline` behind its `=`, and the next word. */
interface Written {
  verb: string
  inline: string | null
  next: string | undefined
}

/** Takes one flag; returns whether it used up the next word. */
function takeFlag(flags: Flags, flag: string, written: Written): boolean {
  const { inline, next, verb } = written
  if (flag === '--json') flags.json = true
  else if (flag === '--rejected') flags.rejected = true
  else if (flag === '--help') flags.help = true
  else if (flag === '--version') flags.version = true
  else if (flag === '--no-web') add(flags, 'web.listen', 'off')
  else {
    const negated = flag.startsWith('--no-') ? byFlag.get(`--${flag.slice('--no-'.length)}`) : undefined
    const name = byFlag.get(flag)
    if (name === undefined && negated !== undefined && isSwitch(negated)) add(flags, negated, 'false')
    else if (name !== undefined && isSwitch(name)) {
      const takesNext = inline === null && next !== undefined && SWITCH_WORDS.has(next)
      add(flags, name, inline ?? (takesNext ? next : 'true'))
      return takesNext
    } else if (name !== undefined || flag === '--config' || flag === '--contract') {
      return takeValue(flags, flag, written, (value) => {
        if (name === undefined) flags[flag === '--config' ? 'config' : 'contract'] = value
        else add(flags, name, value)
      })
    } else if (isOwn(flag, verb)) {
      const take = (value: string): void => void flags.own.set(flag, [...(flags.own.get(flag) ?? []), value])
      if (VERB_FLAGS[flag]!.shape !== null) return takeValue(flags, flag, written, take)
      take(inline ?? '')
    } else flags.problems.push(`${flag}: ${unknownFlag(flag, verb)}`)
  }
  return false
}

/** Takes the value of a flag, or says that there is none; returns whether it was the next word. */
function takeValue(
  flags: Flags,
  flag: string,
  { verb, inline, next }: Written,
  take: (value: string) => void,
): boolean {
  const value = inline ?? next
  const isMissing = value === undefined || (inline === null && isOurs(value, verb))
  if (isMissing)
    flags.problems.push(
      `${flag}: expected a value behind it, got ${value === undefined ? 'nothing' : `the flag ${value.split('=')[0]!}`}`,
    )
  else take(value)
  return inline === null && !isMissing
}

function unknownFlag(flag: string, verb: string): string {
  const { verbs } = Object.hasOwn(VERB_FLAGS, flag) ? VERB_FLAGS[flag]! : { verbs: [] }
  if (verbs.length > 0) return `only ${verbs.map((each) => `'${each}'`).join(' and ')} takes it, not '${verb}'`
  return `there is no such flag${nearest(flag, [...byFlag.keys(), ...OTHER_FLAGS, ...flagsOf(verb)])}`
}

function add(flags: Flags, name: SettingName, value: string): void {
  flags.values.set(name, [...(flags.values.get(name) ?? []), value])
}
