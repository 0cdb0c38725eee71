import { readFileSync } from 'node:fs'
import { VERB_FLAGS } from '../config/verb-flags.ts'
import { PACKAGE } from '../config/place.ts'
import { envOf, flagOf, SETTING_NAMES, settingOf } from '../config/settings.ts'

export function version(): string {
  const manifest = JSON.parse(readFileSync(new URL('package.json', PACKAGE), 'utf8')) as {
    version: string
  }
  return manifest.version
}

/** The text of `--help`, made from the tables of verbs and settings. */
export function help(verbs: Readonly<Record<string, { help: string }>>): string {
  const verbLines = Object.entries(verbs).map(([name, { help }]) => `  ${name.padEnd(8)} ${help}`)
  const settingLines = SETTING_NAMES.map((name) => {
    const { type, help, env, flag } = settingOf(name)
    const names = [flag === undefined ? flagOf(name) : `--${flag}`, envOf(name), ...(env ?? [])]
    return `  ${names[0]!} ${type.shape}\n      ${help}\n      ${names.slice(1).join(', ')}`
  })
  const ownLines = Object.entries(VERB_FLAGS).map(
    ([flag, { verbs, shape, help }]) =>
      `  ${flag}${shape === null ? '' : ` ${shape}`}\n      Under ${verbs.join(' and ')}: ${help}`,
  )
  return `spanbridge ${version()}: turns the numbers in a trainer's tracing lines into MLflow charts, and loses none of them.

  trainer | spanbridge [FLAGS]
  spanbridge [FLAGS]                             (receives OTLP until Ctrl-C)
  spanbridge exec [FLAGS] -- COMMAND [ARGUMENTS]

Verbs
${verbLines.join('\n')}

Flags (each is also a name in the file given with --config, and an environment variable)
  --config FILE
      Settings in YAML; config/spanbridge.yaml shows all of them.
  --contract NAME|FILE
      Under check: hold the log on standard input against a contract, such as rl, or a file of your own.
  --rejected
      Under sync: send what a destination has refused once more.
  --json
      Print JSON (status, audit, check, doctor, top).
${settingLines.join('\n')}

Flags of single verbs (no settings)
${ownLines.join('\n')}

Exit codes: 0 all well; 1 not all delivered, the rest is in the journal (doctor: a hop is broken; audit: something differs); 2 configuration or usage;
3 no state directory to write to, or nothing to listen on. Under exec: the command's own, 128+n for signal n.
`
}
