import { KNOWN, type Aggregation, type KnownMetric, type Thresholds } from './known.ts'

/** What is known of a metric key. */
export interface RegistryEntry {
  /** First part of the key. */
  category: string
  label: string
  unit: string | null
  aggregation: Aggregation
  thresholds: Thresholds | null
}

/** `mean_return/p95` -> `Mean Return / P95`. */
const titleCased = (name: string): string =>
  name
    .split('/')
    .map((part) =>
      part
        .replace(/[_\s]+/g, ' ')
        .trim()
        .replace(/(^|\s)(\p{L})/gu, (_, before: string, letter: string) => before + letter.toUpperCase()),
    )
    .join(' / ')

/** The duration of spans of one name. */
const SPAN_DURATION = /^span\/(.+)\/duration_ms$/

/** Describes a key: the labels that the user set, else what is known, else the key itself in capitals. */
export function describeMetric(key: string, labels: Readonly<Record<string, string>>): RegistryEntry {
  const slash = key.indexOf('/')
  const category = slash < 0 ? '' : key.slice(0, slash)
  const name = key.slice(slash + 1)
  const span = SPAN_DURATION.exec(name)?.[1]
  const known: KnownMetric | undefined =
    span !== undefined
      ? { label: `${titleCased(span)} Duration`, unit: 'ms' }
      : Object.hasOwn(KNOWN, name)
        ? KNOWN[name]
        : undefined
  const label = Object.hasOwn(labels, key) ? labels[key] : Object.hasOwn(labels, name) ? labels[name] : undefined
  return {
    category,
    label: label ?? known?.label ?? titleCased(name),
    unit: known?.unit ?? null,
    aggregation: known?.aggregation ?? 'mean',
    thresholds: known?.thresholds ?? null,
  }
}
