import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'

const ROOT = new URL('../fixtures/', import.meta.url)

const read = (path: string): Buffer => {
  const plain = new URL(path, ROOT)
  if (existsSync(plain)) return path.endsWith('.gz') ? gunzipSync(readFileSync(plain)) : readFileSync(plain)
  return gunzipSync(readFileSync(new URL(`${path}.gz`, ROOT)))
}

/** A point as a fixture expects it. */
export interface ExpectedPoint {
  key: string
  step: number
  value: number
  timestamp_ms?: number
  timestamp_range_ms?: [number, number]
}

export interface Expected {
  points: ExpectedPoint[]
  numbers: { points: number; skipped_no_step: number; skipped_config: number }
  params: Record<string, string | number | boolean | null>
  textLines: number
  optionalKeys: string[]
  bigIntegers: number
}

export interface Fixture {
  name: string
  bytes: Buffer
  expected: Expected
  /** The same without steps taken from spans. */
  ifNotInherited: Expected
  /** Numbers without a step where presets are recognised, as they are unless they are off. */
  noStepOfPresets: number
}

export const numberOf = (value: unknown): number =>
  value === 'NaN' ? Number.NaN : value === 'Infinity' ? Infinity : value === '-Infinity' ? -Infinity : Number(value)

type Json = Record<string, any>

function expectedOf(json: Json, head: Json): Expected {
  return {
    points: (json['points'] ?? []).map((point: Json) => ({ ...point, value: numberOf(point['value']) })),
    numbers: json['numbers'],
    params: Object.assign({}, ...(json['params'] ?? []).map((entry: Json) => entry['fields'])),
    textLines: head['if_line_noise_is_stripped'] === undefined ? (head['text_lines_at'] ?? []).length : -1,
    optionalKeys: head['optional_keys'] ?? [],
    bigIntegers: json['integers_beyond_2_53']?.points ?? 0,
  }
}

/** Every recorded line fixture. */
export const lineFixtures: Fixture[] = ['rust-lines', 'python-lines', 'javascript-lines', 'go-lines'].flatMap(
  (folder) =>
    readdirSync(new URL(folder, ROOT))
      .filter((file) => file.includes('.expected.json'))
      .map((file) => {
        const head = JSON.parse(read(`${folder}/${file}`).toString()) as Json
        const { if_line_noise_is_stripped: stripped, if_steps_are_not_inherited: notInherited } = head
        const whole = { ...head, ...stripped } as Json
        return {
          name: `${folder}/${head['data']}`,
          bytes: read(`${folder}/${head['data']}`),
          expected: expectedOf(whole, head),
          ifNotInherited: expectedOf({ ...whole, ...notInherited }, head),
          noStepOfPresets: (head['if_presets_are_recognised']?.skipped_no_step ??
            whole['numbers'].skipped_no_step) as number,
        }
      }),
)

export interface HostileFile {
  data: string
  bytes: Buffer
  points: [key: string, step: number, value: unknown, line: number][] | null
  pointsCount: number | null
  badLines: number
  either: { line: number; point: [string, number, unknown] | null; also?: string }[]
}

export const hostileFiles: HostileFile[] = (
  JSON.parse(read('hostile/expected.json').toString()) as { files: Json[] }
).files.map((file) => ({
  data: file['data'],
  bytes: read(`hostile/${file['data']}`),
  points: file['points'] ?? null,
  pointsCount: file['points_count'] ?? null,
  badLines: (file['bad_lines'] ?? []).length,
  either: file['either'] ?? [],
}))

export const fixture = (name: string): Fixture => {
  const found = lineFixtures.find((candidate) => candidate.name === name)
  if (found === undefined) throw new Error(`no fixture ${name}`)
  return found
}

/** What a point list is compared by: key, step, then value (NaN last). */
export const byKeyStepValue = (a: { key: string; step: number; value: number }, b: typeof a): number => {
  if (a.key !== b.key) return a.key < b.key ? -1 : 1
  if (a.step !== b.step) return a.step - b.step
  return Object.is(a.value, b.value) ? 0 : Number.isNaN(a.value) ? 1 : Number.isNaN(b.value) ? -1 : a.value - b.value
}
