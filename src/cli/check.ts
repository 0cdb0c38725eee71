import { withoutCredentials } from '../config/load.ts'
import { SETTING_NAMES, settingOf, type SettingName } from '../config/settings.ts'
import { isFields } from '../layer/event.ts'
import { isSecret } from '../layer/params.ts'
import { escapeControl, safeJson } from '../telemetry/say.ts'
import type { Context } from './app.ts'
import { EXIT } from './exit-codes.ts'

const HIDDEN = '(set, hidden)'

/** `check`: the settings in force, where each comes from, and all that is wrong with them; or a log held against a contract. */
export async function check(context: Context): Promise<number> {
  const { flags, loaded, stateDir, stdout, voice } = context
  const { settings, sources, problems } = loaded
  if (flags.contract !== null && problems.length === 0) {
    const { checkContract } = await import('./contract.ts')
    return checkContract(context, flags.contract)
  }
  const all = SETTING_NAMES.map((name) => {
    const value: unknown = name === 'stateDir' ? stateDir : settings[name]
    return {
      name,
      value: shown(name, value),
      source: sources[name],
    }
  })
  const rows = all.map(({ name, value, source }) =>
    escapeControl(
      `${name.padEnd(24)} ${(value === null ? '-' : typeof value === 'string' ? value : JSON.stringify(value)).padEnd(40)} ${source}`,
    ),
  )
  const text = flags.json
    ? safeJson({
        settings: Object.fromEntries(all.map(({ name, value, source }) => [name, { value, source }])),
        problems,
      })
    : rows.join('\n')
  stdout.write(Buffer.from(`${text}\n`))
  for (const problem of problems) voice.say(problem)
  return problems.length > 0 ? EXIT.usage : EXIT.ok
}

/** A value as the file has it, without secrets: an address may carry credentials, a param may be one. */
function shown(name: SettingName, value: unknown): unknown {
  const { secret, type } = settingOf(name)
  if (value === null) return null
  if (secret === true) return HIDDEN
  const inFile = type.toFile?.(value) ?? value
  if (typeof inFile === 'string') return withoutCredentials(inFile)
  if (!isFields(inFile)) return inFile
  const entries = Object.entries(inFile).map(([key, inner]) => [
    key,
    typeof inner !== 'string' ? inner : isSecret(key, inner) ? HIDDEN : withoutCredentials(inner),
  ])
  return Object.fromEntries(entries) as Record<string, unknown>
}
