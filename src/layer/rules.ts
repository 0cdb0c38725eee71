/** What the extraction can be told. `src/config/settings.ts` has the defaults and the sentence for each. */
export interface LayerSettings {
  /** Category in capitals -> first part of the key. */
  categories: Readonly<Record<string, string>>
  /** Step fields in the order in which they are asked. */
  stepFields: readonly string[]
  /** Other lists of step fields, by first part of the key (`trainer`, `misc`, ...). */
  stepFieldsByCategory: Readonly<Record<string, readonly string[]>>
  /** Whether an event without a step or category takes those of the spans around it. */
  inherit: boolean
}

/** First part of the key when an event has no category, or one that is not in the table. */
export const DEFAULT_PREFIX = 'misc'

/** Longest key in bytes of UTF-8. */
export const MAX_KEY_BYTES = 1024

/** Most series of one run. */
export const MAX_SERIES = 10_000

/** Deepest object inside an event whose numbers are taken. */
export const MAX_DEPTH = 64

/** Fields that name the category, strongest first. */
export const CATEGORY_FIELDS = ['category', 'telemetry'] as const

/** Messages whose fields are the run's configuration. */
export const CONFIG_MESSAGES: ReadonlySet<string> = new Set(['startup', 'config_trace'])

/** Settings turned into what the hot path looks up. */
export interface Rules {
  inherit: boolean
  /** Category text as written -> index into `prefixes`. */
  prefixOf: (category: string) => number
  /** Categories of the table, in capitals. */
  categories: readonly string[]
  prefixes: readonly string[]
  defaultPrefix: number
  /** Step fields for each prefix. */
  stepFields: readonly (readonly string[])[]
  /** Names at the top of an event that never make a key. */
  neverKeys: ReadonlySet<string>
}

/** Compiles the settings once, so that nothing is decided twice. */
export function compileRules(settings: LayerSettings): Rules {
  const prefixes = [...new Set([...Object.values(settings.categories), DEFAULT_PREFIX])]
  const byCapitals = new Map(
    Object.entries(settings.categories).map(([category, prefix]) => [category.toUpperCase(), prefixes.indexOf(prefix)]),
  )
  const defaultPrefix = prefixes.indexOf(DEFAULT_PREFIX)
  const stepFields = prefixes.map((prefix) =>
    Object.hasOwn(settings.stepFieldsByCategory, prefix) ? settings.stepFieldsByCategory[prefix]! : settings.stepFields,
  )
  return {
    inherit: settings.inherit,
    // The quotes are Rust's Debug form of a string (`?category`).
    prefixOf: (category) =>
      byCapitals.get(category) ??
      byCapitals.get(
        category
          .trim()
          .replace(/^"(.*)"$/, '$1')
          .toUpperCase(),
      ) ??
      defaultPrefix,
    categories: [...byCapitals.keys()],
    prefixes,
    defaultPrefix,
    stepFields,
    neverKeys: new Set([...CATEGORY_FIELDS, 'message', ...stepFields.flat()]),
  }
}
