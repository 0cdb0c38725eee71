import { withoutCredentials } from '../config/load.ts'
import { SETTING_NAMES, settingOf } from '../config/settings.ts'
import type { Context } from './app.ts'
import { EXIT } from './exit-codes.ts'

const HIDDEN = '(set, hidden)'

/** `check`: the settings in force, where each comes from, and all that is wrong with them. */
export async function check({ flags, loaded, stateDir, stdout, voice }: Context): Promise<number> {
  const { settings, sources, problems } = loaded
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
