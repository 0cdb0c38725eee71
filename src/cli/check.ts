import { withoutCredentials } from '../config/load.ts'
import { SETTING_NAMES, settingOf } from '../config/settings.ts'
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
  const shown = SETTING_NAMES.map((name) => {
    const value: unknown = name === 'stateDir' ? stateDir : settings[name]
    return {
      name,
      value: settingOf(name).secret === true && value !== null ? HIDDEN : withoutPassword(value),
      source: sources[name],
    }
  })
  const rows = shown.map(
    ({ name, value, source }) =>
      `${name.padEnd(24)} ${(value === null ? '-' : typeof value === 'string' ? value : JSON.stringify(value)).padEnd(40)} ${source}`,
  )
  const text = flags.json
    ? JSON.stringify(
        { settings: Object.fromEntries(shown.map(({ name, value, source }) => [name, { value, source }])), problems },
        null,
        2,
      )
    : rows.join('\n')
  stdout.write(Buffer.from(`${text}\n`))
  for (const problem of problems) voice.say(problem)
  return problems.length > 0 ? EXIT.usage : EXIT.ok
}

/** An address may carry credentials. */
const withoutPassword = (value: unknown): unknown => (typeof value === 'string' ? withoutCredentials(value) : value)
