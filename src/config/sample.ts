import { pathToFileURL } from 'node:url'
import { stringify } from 'yaml'
import { envOf, flagOf, SETTING_NAMES, settingOf, type SettingName } from './settings.ts'

/** `config/spanbridge.yaml`: every setting with its default, commented out. */
export function sampleFile(): string {
  const head = `# Every setting of Spanbridge with its default. Take away the # before a line to set it; give the file with --config.
# Flags count before the environment, the environment before this file.
`
  return head + SETTING_NAMES.map(sampleOf).join('')
}

/** Dotted names may stand as they are: \`mlflow.runId: x\` is the same as \`mlflow: { runId: x }\`. */
function sampleOf(name: SettingName): string {
  const { help, env, flag, default: fallback } = settingOf(name)
  const spellings = [flag === undefined ? flagOf(name) : `--${flag}`, envOf(name), ...(env ?? [])].join(', ')
  const value = stringify({ [name]: fallback })
    .trimEnd()
    .replaceAll('\n', '\n# ')
  return `\n# ${help}\n# ${spellings}\n# ${value}\n`
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) process.stdout.write(sampleFile())
