import { readdirSync, readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { logsFromJson, tracesFromJson } from '../../src/otlp/json.ts'

const ROOT = new URL('../fixtures/otlp/', import.meta.url)
const HOSTILE = new URL('../fixtures/hostile-otlp/', import.meta.url)

/** A recorded request. */
export interface Recorded {
  name: string
  signal: 'traces' | 'logs'
  /** The JSON text that was sent; null for protobuf. */
  json: string | null
  /** The request in protobuf, transcoded if need be. */
  body: Uint8Array
}

interface Head {
  path: string
  headers: [string, string][]
}

function readRecorded(folder: string, file: string): Recorded {
  const head = JSON.parse(readFileSync(new URL(`${folder}/${file}`, ROOT), 'utf8')) as Head
  const header = (name: string): string | undefined => head.headers.find(([key]) => key.toLowerCase() === name)?.[1]
  const sent = readFileSync(new URL(`${folder}/${file.replace('.json', '.body')}`, ROOT))
  const body = header('content-encoding') === 'gzip' ? gunzipSync(sent) : sent
  const signal = head.path === '/v1/traces' ? 'traces' : 'logs'
  const json = header('content-type')!.startsWith('application/json') ? body.toString() : null
  const fromJson = signal === 'traces' ? tracesFromJson : logsFromJson
  return { name: `${folder}/${file}`, signal, json, body: json === null ? body : fromJson(json) }
}

/** Every recorded request. */
export const recorded: Recorded[] = readdirSync(ROOT)
  .filter((folder) => !folder.includes('.'))
  .flatMap((folder) =>
    readdirSync(new URL(folder, ROOT))
      .filter((file) => /^\d+\.json$/.test(file))
      .map((file) => readRecorded(folder, file)),
  )

/** What a receiver must answer to a hostile body: one status, or any of several with the points that go with each. */
export interface Hostile {
  data: string
  content_type: string
  content_encoding?: string
  status: number | number[]
  points: unknown[]
}

export const hostile = (JSON.parse(readFileSync(new URL('expected.json', HOSTILE), 'utf8')) as { files: Hostile[] })
  .files

export const hostileBytes = (data: string): Buffer => readFileSync(new URL(data, HOSTILE))
