import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'
import { isFields, type Fields } from '../layer/event.ts'
import { parseFilter } from '../layer/filter.ts'
import type { LayerSettings } from '../layer/rules.ts'
import type { ReadSettings } from '../store/history.ts'
import type { Flags } from './flags.ts'
import { isLoopback } from './loopback.ts'
import { SB3_STEP } from '../receivers/lines/preset-names.ts'
import { nearest } from './nearest.ts'
import { readYaml, yamlAsWritten } from './yaml.ts'
import { envOf, flagOf, settingOf, SETTING_NAMES, type SettingName, type Settings } from './settings.ts'

export type Env = Readonly<Record<string, string | undefined>>

/** Every setting with its value and where that came from, and all that is wrong, at once. */
export interface LoadedSettings {
  settings: Settings
  sources: Readonly<Record<SettingName, string>>
  /** Each names the place, what was expected, and what came. Not empty: exit code 2. */
  problems: readonly string[]
  notices: readonly string[]
}

/**
 * Reads flags > environment > file > defaults. `given` are values by name that a program sets, before all of these.
 * Never throws: what is wrong stands in `problems`.
 */
export function loadSettings(flags: Flags, env: Env, given: ReadonlyMap<string, unknown> = new Map()): LoadedSettings {
  const problems = [...flags.problems]
  const notices: string[] = []
  const file = flags.config === null ? new Map<SettingName, FileValue>() : readFile(flags.config, problems)
  const settings: Record<string, unknown> = {}
  const sources: Record<string, string> = {}
  for (const name of SETTING_NAMES) {
    const { value, source } = valueOf(name, { flags, env, file, given, problems, notices })
    settings[name] = value
    sources[name] = source
  }
  for (const name of given.keys())
    if (!(SETTING_NAMES as string[]).includes(name))
      problems.push(`${name}: there is no such setting${nearest(name, SETTING_NAMES)}`)
  const known = SETTING_NAMES.map(envOf)
  for (const variable of Object.keys(env)) {
    if (variable.startsWith('SPANBRIDGE_') && !known.includes(variable)) {
      notices.push(`${variable}: there is no such setting${nearest(variable, known)}`)
    }
  }
  const loaded = settings as Settings
  problems.push(...contradictions(loaded))
  notices.push(...closedFilters(loaded, sources))
  return { settings: loaded, sources: sources as Record<SettingName, string>, problems, notices }
}

interface Sources {
  flags: Flags
  env: Env
  file: ReadonlyMap<SettingName, FileValue>
  given: ReadonlyMap<string, unknown>
  problems: string[]
  notices: string[]
}

/** The value of one setting and where it comes from. What is wrong counts as not said, and stands among the problems. */
function valueOf(
  name: SettingName,
  { flags, env, file, given, problems, notices }: Sources,
): { value: unknown; source: string } {
  const setting = settingOf(name)
  const fallback = { value: setting.default, source: 'default' }
  const read = (place: string, get: () => unknown): { value: unknown; source: string } => {
    try {
      return { value: get(), source: place }
    } catch (error) {
      problems.push(`${place}: ${wordsOf(error, setting.secret === true)}`)
      return fallback
    }
  }
  if (given.has(name)) return read(name, () => setting.type.fromFile(given.get(name)))
  const flagged = flags.values.get(name)
  if (flagged !== undefined) {
    return read(setting.flag === undefined ? flagOf(name) : `--${setting.flag}`, () =>
      setting.type.addsUp === true
        ? flagged.flatMap((text) => setting.type.fromText(text))
        : merged(flagged.map((text) => setting.type.fromText(text))),
    )
  }
  const isSet = (variable: string): boolean => env[variable] !== undefined && env[variable] !== ''
  if (isSet(envOf(name))) return read(envOf(name), () => setting.type.fromText(env[envOf(name)]!))
  const theirs = (setting.env ?? []).filter(isSet)
  if (theirs.length > 0) {
    // Names with values are put together; of everything else the strongest counts.
    const used = isFields(setting.default) ? theirs : theirs.slice(0, 1)
    const values: unknown[] = []
    for (const variable of used.toReversed()) {
      try {
        values.push(setting.type.fromText(env[variable]!))
      } catch (error) {
        const words = `${variable}: ${wordsOf(error, setting.secret === true)}`
        if (setting.lenient !== true) problems.push(words)
        else notices.push(`${words}; it is not used`)
      }
    }
    return values.length === 0 ? fallback : { value: merged(values), source: used.join(', ') }
  }
  if (file.has(name))
    return read(`${flags.config}: ${name}`, () => {
      const { value, written } = file.get(name)!
      return setting.type.fromFile(value, written)
    })
  return fallback
}

/** What was expected; of a secret not what came. */
const wordsOf = (error: unknown, isSecret: boolean): string =>
  isSecret ? (error as Error).message.replace(/, got .*/s, ', got a value that is not shown') : (error as Error).message

/** The last of several values; names with values are put together, `__proto__` as any other. */
const merged = (values: readonly unknown[]): unknown =>
  isFields(values[0]) ? Object.fromEntries((values as Fields[]).flatMap(Object.entries)) : values.at(-1)

/** Filters that let nothing pass: rarely meant, and the charts stay empty. */
function closedFilters(settings: Settings, sources: Readonly<Record<string, string>>): string[] {
  const name = settings.filter === null ? 'rustFilter' : 'filter'
  const text = settings[name]
  if (text === null || !parseFilter(text)!.isClosed) return []
  const whose = name === 'filter' ? '' : ' of a Rust program'
  return [
    `${sources[name]}: '${text}' lets no event${whose} pass: there will be no points${whose === '' ? '' : ' of it'}`,
  ]
}

/** A value of the file, and the text of its scalars. */
interface FileValue {
  value: unknown
  written: unknown
}

/** The file flattened to dotted names; an object stops where it is itself a setting (`params`). */
function readFile(path: string, problems: string[]): Map<SettingName, FileValue> {
  const found = new Map<SettingName, FileValue>()
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    problems.push(`${path}: cannot be read (${(error as Error).message})`)
    return found
  }
  const root = readYaml(text, (words) => problems.push(`${path}: ${words}`))
  if (root === null || root === undefined) return found
  if (!isFields(root)) {
    problems.push(`${path}: expected settings by name, got ${kindOf(root)}`)
    return found
  }
  const walk = (fields: Fields, asWritten: unknown, path_: string): void => {
    for (const [key, value] of Object.entries(fields)) {
      const written = isFields(asWritten) ? asWritten[key] : undefined
      const name = path_ === '' ? key : `${path_}.${key}`
      const isGroup = SETTING_NAMES.some((known) => known.startsWith(`${name}.`))
      if (found.has(name as SettingName)) problems.push(`${path}: ${name}: expected once, got it twice`)
      else if ((SETTING_NAMES as string[]).includes(name)) found.set(name as SettingName, { value, written })
      else if (isGroup && value === null) continue // all that was in it is commented out
      else if (isGroup && isFields(value)) walk(value, written, name)
      else if (isGroup) problems.push(`${path}: ${name}: expected settings by name, got ${kindOf(value)}`)
      else problems.push(`${path}: ${name}: there is no such setting${nearest(name, SETTING_NAMES)}`)
    }
  }
  walk(root, yamlAsWritten(text), '')
  return found
}

/** What stands in the place of a group. It may be a secret, so it is not told. */
const kindOf = (value: unknown): string => (Array.isArray(value) ? 'a list' : `a ${typeof value}`)

/** Files that have to be there when the destination is. */
const CERTIFICATE_FILES = [
  'mlflow.serverCertPath',
  'mlflow.clientCertPath',
  'otlp.certificate',
  'otlp.clientCertificate',
  'otlp.clientKey',
] as const

/** What the type of a setting cannot know. */
function contradictions(settings: Settings): string[] {
  const problems: string[] = []
  const uri = settings['mlflow.trackingUri']
  if (uri !== null) problems.push(...problemsOfUri(uri))
  for (const name of ['otlp.endpoint', 'otlp.tracesEndpoint'] as const) {
    const endpoint = settings[name]
    if (endpoint === null) continue
    const got = `got '${withoutCredentials(endpoint)}'`
    if (!isHttp(endpoint)) problems.push(`${name}: expected an address (http://... or https://...), ${got}`)
    else if (!isDecodable(endpoint)) problems.push(`${name}: expected an address, ${got}; ${PERCENT}`)
  }
  const listen = settings['otlpHttp.listen']
  if (listen !== null && !isLoopback(listen.host) && settings['otlpHttp.token'] === null)
    problems.push(
      `otlpHttp.listen: expected an otlpHttp.token beside '${listen.host}', which others can reach, got none; set SPANBRIDGE_OTLP_HTTP_TOKEN, or listen on 127.0.0.1`,
    )
  const id = settings['mlflow.experimentId']
  if (id !== null && !/^\d+$/.test(id)) {
    problems.push(`mlflow.experimentId: expected a number, got '${id}'; a name goes into mlflow.experimentName`)
  }
  if (settings['steps.fields'].length === 0) problems.push('steps.fields: expected at least one field, got none')
  const isOtlp = settings['otlp.endpoint'] !== null || settings['otlp.tracesEndpoint'] !== null
  for (const name of CERTIFICATE_FILES) {
    const path = settings[name]
    if (path === null || !(name.startsWith('otlp.') ? isOtlp : uri !== null)) continue
    try {
      readFileSync(path)
    } catch (error) {
      problems.push(`${name}: expected a file with certificates, got '${path}' (${(error as Error).message})`)
    }
  }
  for (const name of ['proxy.http', 'proxy.https'] as const) {
    const proxy = settings[name]
    if (uri !== null && proxy !== null && !isHttp(proxyUrl(proxy))) {
      problems.push(`${name}: expected the address of a proxy (http://host:port), got '${withoutCredentials(proxy)}'`)
    }
  }
  return problems
}

/** A proxy as people write it: without a scheme it is http. */
export const proxyUrl = (proxy: string): string => (/^\w+:\/\//.test(proxy) ? proxy : `http://${proxy}`)

const isHttp = (text: string): boolean => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)

function problemsOfUri(uri: string): string[] {
  const got = `got '${withoutCredentials(uri)}'`
  const expected = `mlflow.trackingUri: expected the address of a server (http://... or https://...), ${got}`
  if (!isHttp(uri)) {
    const cure = /^[\w.-]+:\d+(?:\/|$)/.test(uri)
      ? `did you mean http://${uri}?`
      : "for files or a database start one with 'mlflow server --backend-store-uri ...' and give its address"
    return [`${expected}; ${cure}`]
  }
  return isDecodable(uri) ? [] : [`${expected}; ${PERCENT}`]
}

const PERCENT = 'a % in its user or password has to be written %25'

function isDecodable(address: string): boolean {
  try {
    decodeURIComponent(new URL(address).username + new URL(address).password)
    return true
  } catch {
    return false
  }
}

/** An address as it may be shown: no user, password, or secret of its query. Rather too little than too much. */
export const withoutCredentials = (address: string): string => withoutUser(address, '***@')

/** An address without the user and password in it; what its query has of secrets is never shown either. */
export const withoutUser = (address: string, instead = ''): string =>
  address
    // However many slashes there are: it is an address all the same.
    .replace(/^(https?:)[\\/]*.*@/is, (_, scheme: string) => `${scheme}//${instead}`)
    .replace(/\/\/.*@/s, `//${instead}`)
    .replace(/^[^/@]*:(?!\/\/).*@/s, instead)
    .replace(/([?&][^=&]*(?:token|key|secret|passw|auth|sig)[^=&]*=)[^&]*/gi, '$1***')

/** The directory of the journals, absolute. */
export function stateDirOf(settings: Settings, env: Env): string {
  // An absolute path needs no working directory, which may have been deleted.
  if (settings.stateDir !== null) return isAbsolute(settings.stateDir) ? settings.stateDir : resolve(settings.stateDir)
  const base = env['XDG_STATE_HOME']
  const home = env['HOME'] ?? homedir()
  return join(base !== undefined && base.startsWith('/') ? base : join(home, '.local', 'state'), 'spanbridge')
}

/** What the layer is told of the settings. */
export const rulesOf = (settings: Settings): LayerSettings => ({
  categories: settings.categories,
  stepFields: [...settings['steps.fields'], ...(['auto', 'sb3'].includes(settings.preset) ? [SB3_STEP] : [])],
  stepFieldsByCategory: settings['steps.byCategory'],
  inherit: settings['steps.inherit'],
})

/** What readers of journals are told of the settings. */
export const readSettingsOf = (settings: Settings): ReadSettings => ({
  labels: settings.labels,
  stepFields: [...new Set([...rulesOf(settings).stepFields, ...Object.values(settings['steps.byCategory']).flat()])],
})
