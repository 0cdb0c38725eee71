import { isSecret, REDACTED, withoutSecrets } from './params.ts'

/*
 * None of these begins in the middle of a word, and so each reads a long one (a program, a picture in Base64) once.
 */

/** `--api-key VALUE` as two words. */
const FLAG = /^--?([A-Za-z][\w.-]*)$/

/** `NAME=VALUE`, `--flag=VALUE`, `--flag VALUE`, `Header: Bearer VALUE` inside a word: a whole program of `sh -c`. */
const PARTS = [
  /(?<![\w.-])((?:--?)?([A-Za-z_][\w.-]*)=)("[^"]*"|'[^']*'|[^\s;&|"']+)/g,
  /(?<=^|\s)(--?([A-Za-z][\w.-]*)\s+)("[^"]*"|'[^']*'|[^\s;&|"'-][^\s;&|"']*)/g,
  /(?<![\w-])(([A-Za-z][\w-]*):\s*(?:(?:bearer|basic|token)\s+)?)([^\s"']+)/gi,
]

/** The words of a command as they may be kept: what its flags, variables and headers name as a secret is taken out. */
export function withoutSecretWords(command: readonly string[]): string[] {
  return command.map((word, i) => {
    const flag = i === 0 ? undefined : FLAG.exec(command[i - 1]!)?.[1]
    return flag !== undefined && !word.startsWith('-') && isSecret(flag, word) ? REDACTED : withoutSecretParts(word)
  })
}

/** A text as it may be kept: what it names as a secret inside it is taken out, and who asks in an address. */
export const withoutSecretParts = (word: string): string =>
  PARTS.reduce(
    (text, part) =>
      text.replace(part, (all, before: string, name: string, value: string) =>
        isSecret(name, value) ? before + REDACTED : all,
      ),
    withoutSecrets('', word),
  )
