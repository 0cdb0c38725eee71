import { access } from 'node:fs'
import { getPriority, setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import type { FromDelivery, ToDelivery } from '../channel/messages.ts'
import type { Settings } from '../config/settings.ts'
import { createExporters } from '../exporters/index.ts'
import { Via } from '../otlp/via.ts'
import { systemClock } from './clock.ts'
import { DeliveryThread } from './thread.ts'

/** What the ingest thread hands over when it starts this thread. */
export interface WorkerData {
  settings: Settings
  stateDir: string
  /** How users call us. */
  command: string
  /** Tells this process from others that spans may have come through. */
  via: string
}

/**
 * On a machine that is all in use this thread waits, not the trainer: what it has not taken yet has room in the channel.
 * Linux has a priority for each thread; elsewhere it would be that of the process. The pool of threads, which writes what
 * is passed on (and reads a program's own files, where we are a library), has that of whoever needs it first: it must be
 * there before.
 */
const NICE = 10
const LOWEST = 19
try {
  if (process.platform === 'linux') {
    access('/', () => {})
    setPriority(Math.min(LOWEST, getPriority() + NICE))
  }
} catch {
  // A sandbox that forbids it.
}

const { settings, stateDir, command, via: own } = workerData as WorkerData
const via = new Via(own)
const port = parentPort!
const thread = new DeliveryThread({
  settings,
  stateDir,
  command,
  createExporters: (trackerRun) => createExporters({ settings, via }, trackerRun),
  onVia: (header) => void via.learn(header),
  // A list of transfers that is undefined would be taken for one that is wrong.
  post: (message: FromDelivery, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer),
  clock: systemClock,
})

port.on('message', (message: ToDelivery) => thread.take(message))
