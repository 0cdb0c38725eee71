/*
 * Directives as Rust's `tracing_subscriber::EnvFilter` (0.3) writes them: `info`, `my_crate=debug`, `info,my_crate::noisy=off`.
 * Of the directives whose target is a prefix of the event's, the longest counts; the last one where two are the same.
 * Without any that fits, the event is out. Span and field directives are refused by name: a line does not tell all that
 * they ask about.
 */

/** Levels by how much they let through; an event's level is its index, 1 (ERROR) to 5 (TRACE). */
export const LEVELS = ['OFF', 'ERROR', 'WARN', 'INFO', 'DEBUG', 'TRACE'] as const

const EVERYTHING = LEVELS.length - 1

interface Directive {
  /** Prefix of the targets that it is for; '' is every one. */
  target: string
  level: number
}

/** A text that is no filter; the message says what was expected and what came. */
export class FilterError extends Error {}

/** Which events are taken. */
export class Filter {
  readonly #directives: readonly Directive[]

  constructor(directives: readonly Directive[]) {
    const byTarget = new Map(directives.map((directive) => [directive.target, directive]))
    this.#directives = [...byTarget.values()].sort((a, b) => b.target.length - a.target.length)
  }

  /** Whether nothing at all passes. */
  get isClosed(): boolean {
    return this.#directives.every(({ level }) => level === 0)
  }

  /** Whether an event passes; one without a level does where anything does. */
  allows(target: string, level: number | null): boolean {
    const found = this.#directives.find((directive) => target.startsWith(directive.target))
    return found !== undefined && found.level >= (level ?? 1)
  }

  /** The same where the line does not tell the target: out only if no target would let it pass. */
  mayAllow(level: number | null): boolean {
    return this.#directives.some((directive) => directive.level >= (level ?? 1))
  }
}

const EXPECTED = 'directives such as info, my_crate=debug, my_crate::noisy=off, with commas between them'

/** Reads directives. An empty text is no filter: null. @throws FilterError */
export function parseFilter(text: string): Filter | null {
  const pieces = text
    .split(',')
    .map((piece) => piece.trim())
    .filter((piece) => piece !== '')
  return pieces.length === 0 ? null : new Filter(pieces.map(parseDirective))
}

function parseDirective(piece: string): Directive {
  if (/[[\]{}]/.test(piece))
    throw new FilterError(
      `expected ${EXPECTED}, got '${piece}': directives for spans and fields ([span{field=value}]) are not supported, since log lines do not tell all that they ask about`,
    )
  const alone = levelNamed(piece)
  if (alone !== null) return { target: '', level: alone }
  const [, target, word] = /^([\w:-][\w:.-]*)(?:=(.*))?$/.exec(piece) ?? []
  if (target === undefined) throw new FilterError(`expected ${EXPECTED}, got '${piece}'`)
  // A target alone stands for all of its levels.
  const level = word === undefined || word === '' ? EVERYTHING : levelNamed(word)
  if (level === null)
    throw new FilterError(
      `expected ${EXPECTED}, got '${piece}': '${word}' is none of the levels ${LEVELS.join(', ').toLowerCase()}`,
    )
  return { target, level }
}

/** A level by its name in any case, or its number from 0 to 5 (as Rust reads a `usize`). */
function levelNamed(word: string): number | null {
  if (/^\+?0*[0-5]$/.test(word)) return Number(word)
  const index = (LEVELS as readonly string[]).indexOf(word.toUpperCase())
  return index < 0 ? null : index
}
