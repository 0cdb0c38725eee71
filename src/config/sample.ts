import { writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { stringify } from 'yaml'
import { envOf, flagOf, SETTING_NAMES, settingOf, type SettingName } from './settings.ts'

/** `config/spanbridge.yaml`: every setting with its default, commented out. */
export function sampleFile(): string {
  const head = `# yaml-language-server: $schema=./spanbridge.schema.json
# Every setting of Spanbridge with its default. Take away the # before a line to set it; give the file with --config.
# Flags count before the environment, the environment before this file.
`
  return head + SETTING_NAMES.map(sampleOf).join('')
}

/** Dotted names may stand as they are: `mlflow.runId: x` is the same as `mlflow: { runId: x }`. */
function sampleOf(name: SettingName): string {
  const value = stringify({ [name]: inFile(name, settingOf(name).default) })
    .trimEnd()
    .replaceAll('\n', '\n# ')
  return `\n# ${settingOf(name).help}\n# ${spellingsOf(name).slice(1).join(', ')}\n# ${value}\n`
}

/** `config/spanbridge.schema.json`: the same for editors, with dotted names and with objects inside each other. */
export function schemaFile(): string {
  const root: SchemaNode = { type: 'object', additionalProperties: false, properties: {} }
  for (const name of SETTING_NAMES) {
    const { help, type, default: fallback } = settingOf(name)
    const leaf = { description: help, ...type.schema, default: inFile(name, fallback) }
    root.properties[name] = leaf
    const [group, inner] = name.split('.')
    if (inner === undefined) continue
    const node = (root.properties[group!] ??= { type: 'object', additionalProperties: false, properties: {} })
    ;(node as SchemaNode).properties[inner] = leaf
  }
  const head = { $schema: 'https://json-schema.org/draft/2020-12/schema', title: 'Settings of Spanbridge' }
  return `${JSON.stringify({ ...head, ...root }, null, 2)}\n`
}

interface SchemaNode {
  type: 'object'
  additionalProperties: false
  properties: Record<string, unknown>
}

/** `docs/settings.md`: the same as a table for readers. */
export function settingsDocument(): string {
  const cell = (text: string): string => text.replaceAll('|', '\\|')
  const rows = SETTING_NAMES.map((name) => {
    const { help, default: fallback } = settingOf(name)
    const value = inFile(name, fallback)
    const [, ...spellings] = spellingsOf(name)
    const shown = value === null ? '-' : `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``
    return `| \`${name}\` | ${spellings.map((each) => `\`${each}\``).join(' ')} | ${cell(shown)} | ${cell(help)} |\n`
  })
  return `# Settings

Flags count before the environment, the environment before the file given with \`--config\`, and that before the defaults. All that is wrong is told at once, with exit code 2. \`spanbridge check\` shows what is in force and
where each value comes from. [config/spanbridge.yaml](../config/spanbridge.yaml) is a file to start from; [config/spanbridge.schema.json](../config/spanbridge.schema.json) tells editors what may stand in it.
In the file a dotted name may also be an object: \`mlflow: { runId: x }\` is \`mlflow.runId: x\`. In text, lists have commas between their items (\`A,B\`), names with values are \`A=1,B=2\`, and durations are \`500ms\`, \`10s\`, \`2m\` or \`1h\`.
Switches need no value: \`--quiet\`, \`--no-quiet\`, \`--quiet false\`. A variable that is set but empty counts as not set.

| name | flag, environment | default | does |
| --- | --- | --- | --- |
${rows.join('')}`
}

/** A setting's names: in the file, as a flag, in the environment, and those that users have already. */
const spellingsOf = (name: SettingName): string[] => {
  const { env, flag } = settingOf(name)
  return [name, flag === undefined ? flagOf(name) : `--${flag}`, envOf(name), ...(env ?? [])]
}

const inFile = (name: SettingName, value: unknown): unknown => settingOf(name).type.toFile?.(value) ?? value

/** The files that are made from the settings, by their place in the repository. */
export const GENERATED: Readonly<Record<string, () => string>> = {
  'config/spanbridge.yaml': sampleFile,
  'config/spanbridge.schema.json': schemaFile,
  'docs/settings.md': settingsDocument,
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const [path, content] of Object.entries(GENERATED))
    writeFileSync(new URL(`../../${path}`, import.meta.url), content())
}
