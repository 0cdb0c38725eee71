import type { Random } from '../simulation/random.ts'

/** Longest input that is made: a line may have 1 MiB, and what is longer is not read. */
const MAX_BYTES = 3 << 19

/** Bytes that mean something to the formats: ends of varints, tags, lengths, and the marks of JSON, YAML and directives. */
const TELLING = Buffer.from(
  '\0\x01\x7f\x80\xff\x0a\x0d\x12\x0b\x0c\x09\x2a\x32\x22\x5b\x7b\x5d\x7d\x5c,:=-#&*!%\x1b',
  'latin1',
)

/** Pieces that have broken readers before. */
const ODD_TEXTS = [
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  '\uFEFF',
  '\0',
  'NaN',
  '-Infinity',
  'Infinity',
  '1e999',
  '-0',
  '9007199254740993',
  '18446744073709551616',
  '-9223372036854775809',
  '1e-400',
  '0.1e1',
  String.raw`\ud800`,
  String.raw`\udc00\ud800`,
  String.raw`\u0000`,
  String.raw`\u005f_proto__`,
  '"',
  '\r\n',
  '\n\n',
  '{}',
  '[]',
  'null',
  '\u202e',
  '\x1b[2J',
  'a\u0301',
  '1'.repeat(400),
]

const ODD_BYTES = [
  ...ODD_TEXTS.map((text) => Buffer.from(text)),
  Buffer.from('ff', 'hex'),
  Buffer.from('c080', 'hex'), // NUL, longer than need be
  Buffer.from('eda080', 'hex'), // half of a surrogate pair
  Buffer.from('f4908080', 'hex'), // beyond the last character
  Buffer.from('e282', 'hex'),
  Buffer.from('ffffffff0f', 'hex'), // varints: 2^32 - 1,
  Buffer.from('ffffffffffffffffff01', 'hex'), // 2^64 - 1,
  Buffer.from('ffffffffffffffffffff01', 'hex'), // and one too long
  Buffer.from('80808080808080808000', 'hex'),
  Buffer.from('ffffffffffffff7f', 'hex'),
  Buffer.from('000000000000f87f', 'hex'),
]

const NESTING = [
  '[',
  '{"a":',
  '{"spans":[',
  '[{"a":',
  '{"fields":',
  '{"key":"a","value":{"kvlistValue":{"values":[',
].map((text) => Buffer.from(text))

/** Any place of `bytes`; what stands at the beginning (tags, headers) half of the time. */
function place(bytes: Buffer, random: Random): number {
  return random.whole(0, random.chance(0.5) ? bytes.length : Math.min(bytes.length, 200))
}

/** A piece of `bytes`, mostly a short one. */
function piece(bytes: Buffer, random: Random): Buffer {
  const from = random.whole(0, bytes.length)
  return bytes.subarray(from, from + random.long(1, Math.max(2, bytes.length)))
}

const insert = (bytes: Buffer, at: number, what: Buffer): Buffer =>
  Buffer.concat([bytes.subarray(0, at), what, bytes.subarray(at)])

/** Mostly a few; thousands are rare, for they take long. */
const times = (random: Random): number => (random.chance(0.005) ? random.long(100, 20_000) : random.long(1, 50))

type Mutation = (bytes: Buffer, random: Random, other: Buffer) => Buffer

const changeBytes: Mutation = (bytes, random) => {
  const changed = Buffer.from(bytes)
  for (let count = random.whole(1, 4); count > 0; count -= 1)
    changed[Math.min(place(changed, random), changed.length - 1)] = random.chance(0.5)
      ? TELLING[random.whole(0, TELLING.length - 1)]!
      : random.whole(0, 255)
  return changed
}

const flipBit: Mutation = (bytes, random) => {
  const changed = Buffer.from(bytes)
  const at = Math.min(place(changed, random), changed.length - 1)
  changed[at] = changed[at]! ^ (1 << random.whole(0, 7))
  return changed
}

const truncate: Mutation = (bytes, random) => bytes.subarray(0, random.whole(0, bytes.length))

const leaveOut: Mutation = (bytes, random) => {
  const at = place(bytes, random)
  return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + random.long(1, 64))])
}

const again: Mutation = (bytes, random) => insert(bytes, place(bytes, random), piece(bytes, random))

const splice: Mutation = (bytes, random, other) =>
  Buffer.concat([bytes.subarray(0, random.whole(0, bytes.length)), other.subarray(random.whole(0, other.length))])

const addOdd: Mutation = (bytes, random) => insert(bytes, place(bytes, random), random.of(ODD_BYTES))

/** The same piece many times: what is linear for one may be quadratic for many. */
const repeat: Mutation = (bytes, random) => {
  const repeated = random.chance(0.5) ? piece(bytes, random) : random.of([...ODD_BYTES, ...NESTING])
  const count = Math.min(times(random), Math.floor(MAX_BYTES / Math.max(1, repeated.length)))
  return insert(bytes, place(bytes, random), Buffer.concat(Array.from({ length: count }, () => repeated)))
}

const nest: Mutation = (bytes, random) => {
  const open = random.of(NESTING)
  const count = times(random)
  return insert(bytes, place(bytes, random), Buffer.concat(Array.from({ length: count }, () => open)))
}

const MUTATIONS: readonly Mutation[] = [
  changeBytes,
  changeBytes,
  flipBit,
  truncate,
  leaveOut,
  again,
  splice,
  addOdd,
  addOdd,
  repeat,
  nest,
]

/** `bytes`, changed once or a few times; `other` is what pieces are taken from. */
export function mutate(bytes: Buffer, random: Random, other: Buffer = bytes): Buffer {
  let changed = bytes
  for (let count = random.chance(0.8) ? 1 : random.whole(2, 4); count > 0; count -= 1) {
    if (changed.length === 0) changed = Buffer.from([random.whole(0, 255)])
    changed = random.of(MUTATIONS)(changed, random, other)
  }
  return changed.subarray(0, MAX_BYTES)
}

/** Stands for a token that JSON may not have, until the text is made. */
const RAW = '@raw@'

const ODD_VALUES: readonly (() => unknown)[] = [
  ...[
    'NaN',
    'Infinity',
    '-Infinity',
    '1e999',
    '-0',
    '1e-400',
    '18446744073709551616',
    '-9007199254740993',
    '4.0',
    '01',
  ].map((token) => () => RAW + token),
  ...[null, true, 0, -1, 0.1, 2 ** 31, 2 ** 53, '', 'NaN', '7', '\ud800', '\uFEFF', 'x'.repeat(2000), '72.4µs'].map(
    (value) => () => value,
  ),
  () => ({}),
  () => [],
  () => [[[{ a: [1] }]]],
  () => ({ step: 7, category: 'TRAINER', loss: 1 }),
  () => ({ stringValue: 'a', doubleValue: 'NaN', intValue: '9223372036854775807' }),
]

/** Lists inside each other, which `JSON.parse` reads and few others can. */
const deep = (depth: number): string => RAW + '['.repeat(depth) + ']'.repeat(depth)

const ODD_NAMES = [
  '__proto__',
  'constructor',
  '',
  'step',
  'category',
  'fields',
  'span',
  'spans',
  'message',
  'record',
  'value',
  'toString',
  'a/b',
  '\u0000',
  'x'.repeat(1100),
]

type Json = Record<string, unknown> | unknown[]

/** An object or list in `root`, and one of its names. Short, for what is made is not deep. */
function anyPlace(root: Json, random: Random): { holder: Json; name: string } | null {
  let holder = root
  for (;;) {
    const names = Object.keys(holder)
    if (names.length === 0) return null
    const name = random.of(names)
    const inner = (holder as Record<string, unknown>)[name]
    if (typeof inner !== 'object' || inner === null || random.chance(0.2)) return { holder, name }
    holder = inner as Json
  }
}

const define = (holder: Json, name: string, value: unknown): void => {
  Object.defineProperty(holder, name, { value, enumerable: true, configurable: true, writable: true })
}

/** Longest text that a repeated value makes. */
const MAX_REPEATED = 50_000

function repeatValue(list: unknown[], value: unknown, count: number): void {
  const { length } = JSON.stringify(value ?? null)
  for (let left = Math.min(count, MAX_REPEATED / length); left > 0; left -= 1) list.push(value)
}

/** Changes values and names of a JSON text where they are, so that it mostly stays JSON (or Python's). */
export function mutateJson(text: string, random: Random): string {
  let root: unknown
  try {
    root = JSON.parse(text)
  } catch {
    return text
  }
  if (typeof root !== 'object' || root === null) return text
  for (let count = random.long(1, 5); count > 0; count -= 1) {
    const found = anyPlace(root as Json, random)
    if (found === null) break
    const { holder, name } = found
    const value = (holder as Record<string, unknown>)[name]
    const kind = random.whole(0, 4)
    if (random.chance(0.005)) define(holder, name, deep(random.of([2000, 40_000])))
    else if (kind < 2) define(holder, name, random.of(ODD_VALUES)())
    else if (kind === 2 && !Array.isArray(holder)) define(holder, random.of(ODD_NAMES), value)
    else if (kind === 3 && Array.isArray(holder)) repeatValue(holder, value, times(random))
    else if (!Array.isArray(holder)) delete holder[name]
  }
  return JSON.stringify(root).replace(/"@raw@([^"]*)"/g, '$1')
}
