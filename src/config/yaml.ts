import { createRequire } from 'node:module'
import type * as Yaml from 'yaml'

const require = createRequire(import.meta.url)

/** The parser, loaded when there is a file to read: its 75 modules would make a start a third longer. */
const parser = (): typeof Yaml => require('yaml') as typeof Yaml

/*
 * The parser's warnings go to standard error with words of the file in them: there are none at this `logLevel`.
 */

/** Reads a YAML text as plain values; null when something is wrong, which `say` hears, all of it. */
export function readYaml(text: string, say: (words: string) => void): unknown {
  const document = parser().parseDocument(text, { logLevel: 'error' })
  for (const error of document.errors) say(withoutSource(error.message))
  if (document.errors.length > 0) return null
  try {
    return document.toJS()
  } catch (error) {
    say(withoutSource((error as Error).message)) // an alias of nothing, or aliases of aliases without end
    return null
  }
}

/** The first line of what the parser says, without the words of the file that it quotes: they may be a secret. */
const withoutSource = (message: string): string =>
  message.split('\n')[0]!.replace(/:\s.*?(?= at line \d+, column \d+:?$|$)/, '')

/** The same with every scalar as the text that was written: `007123` is no number here. For a text that is sound. */
export const yamlAsWritten = (text: string): unknown =>
  parser().parseDocument(text, { schema: 'failsafe', logLevel: 'error' }).toJS()
