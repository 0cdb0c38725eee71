import { parseDocument } from 'yaml'

/** Reads a YAML text as plain values; null when something is wrong, which `say` hears, all of it. */
export function readYaml(text: string, say: (words: string) => void): unknown {
  const document = parseDocument(text)
  for (const error of document.errors) say(error.message.split('\n')[0]!)
  if (document.errors.length > 0) return null
  try {
    return document.toJS()
  } catch (error) {
    say((error as Error).message) // an alias of nothing, or aliases of aliases without end
    return null
  }
}

/** The same with every scalar as the text that was written: `007123` is no number here. For a text that is sound. */
export const yamlAsWritten = (text: string): unknown => parseDocument(text, { schema: 'failsafe' }).toJS()
