import { isDeepStrictEqual } from 'node:util'
import { logsFromJson, tracesFromJson } from '../../src/otlp/json.ts'
import { readLogs } from '../../src/otlp/logs.ts'
import { wrapTraces } from '../../src/otlp/rewrap.ts'
import { readTraces } from '../../src/otlp/traces.ts'
import { attributesOf } from '../../src/otlp/values.ts'
import { WireError } from '../../src/otlp/wire.ts'
import { hostile, hostileBytes, recorded } from './bodies.ts'

/** What became of the changed bodies. */
export interface Outcome {
  read: number
  refused: number
  slowestMs: number
}

interface Seed {
  bytes: Buffer
  read: (bytes: Buffer) => void
}

const READ = {
  traces: (body: Uint8Array): unknown => {
    const spans = readTraces(body, { integerText: 'never' })
    // The fast way to read attributes against the one that knows no short cuts.
    for (const { bytes, attributes } of spans) {
      if (!isDeepStrictEqual(attributesOf(bytes, 9), attributes)) throw new Error('two ways to read, two results')
    }
    return wrapTraces(spans)
  },
  logs: (body: Uint8Array): unknown => readLogs(body),
}
const FROM_JSON = { traces: tracesFromJson, logs: logsFromJson }

/** The recorded bodies, protobuf and JSON, and the hostile ones that are not too big to change many times. */
const seeds: Seed[] = [
  ...recorded.map(({ signal, body }) => ({ bytes: Buffer.from(body), read: READ[signal] })),
  ...recorded
    .filter(({ json }) => json !== null)
    .map(({ signal, json }) => ({
      bytes: Buffer.from(json!),
      read: (bytes: Buffer) => READ[signal](FROM_JSON[signal](bytes.toString())),
    })),
  ...hostile
    .map(({ data }) => hostileBytes(data))
    .filter((bytes) => bytes.length < 100_000)
    .map((bytes) => ({ bytes, read: READ.traces })),
]

/** A small generator of random numbers (xorshift), so that a run can be repeated by its seed. */
function randoms(seed: number): (below: number) => number {
  let state = seed | 0 || 1
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

/** Bytes that mean something to the format: ends and beginnings of varints, tags, lengths. */
const TELLING = [0x00, 0x01, 0x7f, 0x80, 0xff, 0x0a, 0x12, 0x0b, 0x0c, 0x09, 0x2a, 0x32, 0x22, 0x5b, 0x7b]

function mutate(source: Buffer, random: (below: number) => number): Buffer {
  if (source.length === 0) return Buffer.from([random(256)])
  const kind = random(4)
  const at = random(source.length)
  if (kind === 0) return source.subarray(0, at)
  if (kind === 1) {
    // A piece of the body once more, in another place.
    const from = random(source.length)
    return Buffer.concat([source.subarray(0, at), source.subarray(from, from + random(64)), source.subarray(at)])
  }
  const changed = Buffer.from(source)
  for (let count = 1 + random(4); count > 0; count -= 1) {
    const byte = random(2) === 0 ? TELLING[random(TELLING.length)]! : random(256)
    // Tags and lengths of the outer levels stand at the beginning: half of the changes go there.
    changed[random(2) === 0 ? random(source.length) : random(Math.min(source.length, 200))] = byte
  }
  return changed
}

/** Reads `count` changed bodies. Throws what a reader throws, unless it is a `WireError`, with the bytes that did it. */
export function mutations(count: number, seed: number): Outcome {
  const random = randoms(seed)
  const outcome = { read: 0, refused: 0, slowestMs: 0 }
  for (let i = 0; i < count; i += 1) {
    const { bytes, read } = seeds[random(seeds.length)]!
    const input = mutate(bytes, random)
    const from = performance.now()
    try {
      read(input)
      outcome.read += 1
    } catch (error) {
      if (!(error instanceof WireError)) {
        throw new Error(`seed ${seed}, input ${i}: ${input.toString('base64')}`, { cause: error })
      }
      outcome.refused += 1
    }
    outcome.slowestMs = Math.max(outcome.slowestMs, performance.now() - from)
  }
  return outcome
}
