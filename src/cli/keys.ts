import { parseFilter } from '../chart/glob.ts'
import { nearestOf } from '../config/nearest.ts'
import { Refusal } from './open-run.ts'

/** The keys that words mean: a key itself, the end of some (`loss`), or a pattern (`trainer/*`, `/loss|kl/`). @throws Refusal */
export function keysMeant(words: readonly string[], known: readonly string[]): string[] {
  const found = words.flatMap((word) => {
    const keys = meant(word, known)
    if (keys.length > 0) return keys
    const near = nearestOf(word, known, 5).join(', ')
    throw new Refusal(`there is no metric '${word}'; ${near === '' ? 'the run has none' : `the nearest are: ${near}`}`)
  })
  return [...new Set(found)]
}

function meant(word: string, known: readonly string[]): readonly string[] {
  if (known.includes(word)) return [word]
  const { matches } = parseFilter(word)
  return known.filter((key) => (/[*?]|^\/.+\/$/.test(word) ? matches(key) : key.endsWith(`/${word}`)))
}
