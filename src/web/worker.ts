import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { getPriority, setPriority } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parentPort, workerData } from 'node:worker_threads'
import { PACKAGE } from '../config/place.ts'
import type { ReadSettings } from '../store/history.ts'
import { Store } from '../store/store.ts'
import type { Guard } from './guard.ts'
import { PageFiles } from './page-files.ts'
import type { Serving } from './routes.ts'
import { PageServer } from './server.ts'

/** What the thread that accepts connections hands over when it starts this one. */
export interface WebWorkerData {
  guard: Guard
  serving: Serving
  reading: ReadSettings
  /** One journal instead of all in the state directory. */
  only: string | null
}

/** What comes from there. */
export type ToWeb =
  | { socket: Socket }
  /** All is in the journals: readers are told of the last of it. */
  | { socket: null }

/** What goes back. */
export type FromWeb =
  | { kind: 'fault'; text: string }
  /** Readers have been told of the last. */
  | { kind: 'told' }

/** On a machine that is all in use the page waits, not the trainer. Linux has a priority for each thread. */
const NICE = 10
const LOWEST = 19
try {
  if (process.platform === 'linux') setPriority(Math.min(LOWEST, getPriority() + NICE))
} catch {
  // A sandbox that forbids it.
}

const { guard, serving, reading, only } = workerData as WebWorkerData
const port = parentPort!
const server = new PageServer({
  guard,
  serving,
  store: new Store({ ...reading, stateDir: serving.stateDir, only }),
  files: new PageFiles(fileURLToPath(new URL('dist/page', PACKAGE))),
  openapi: () => readFileSync(new URL('docs/openapi.json', PACKAGE), 'utf8'),
  now: Date.now,
  onFault: (error) => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    port.postMessage({ kind: 'fault', text } satisfies FromWeb)
  },
})

port.on('message', ({ socket }: ToWeb) => {
  if (socket !== null) server.take(socket)
  else void server.last().then(() => port.postMessage({ kind: 'told' } satisfies FromWeb))
})
