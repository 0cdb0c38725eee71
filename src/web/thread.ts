import type { Socket } from 'node:net'
import { Worker } from 'node:worker_threads'
import { entry } from '../config/place.ts'
import { leaveDeleted } from '../journal/directory.ts'
import type { FromWeb, ToWeb, WebWorkerData } from './worker.ts'

/** A page that needs more is at fault: it must not take the memory of the trainer. */
const MAX_HEAP_MB = 512

/** Faults that are said; whoever looks at a page may bring about more. */
const MAX_FAULTS = 10

export interface WebThreadOptions {
  data: WebWorkerData
  say: (text: string) => void
  /** The code of the thread; default: `worker.ts` beside this file. */
  file?: URL
  /** Memory that it may have for objects; default: 512 MB. */
  maxHeapMb?: number
}

/**
 * The thread that serves the page: started by the first connection, and again by the next one when it has ended with a
 * fault. It keeps no process alive, and whatever happens in it stays in it.
 */
export class WebThread {
  readonly #options: WebThreadOptions
  #worker: Worker | null = null
  #isClosed = false
  readonly #said = new Set<string>()

  constructor(options: WebThreadOptions) {
    this.#options = options
  }

  /** Hands a connection over, unread. */
  take(socket: Socket): void {
    socket.on('error', () => {}) // whoever was there has gone
    const worker = this.#isClosed ? null : this.#started()
    try {
      if (worker === null) socket.destroy()
      else worker.postMessage({ socket } satisfies ToWeb, [socket as unknown as ArrayBuffer])
    } catch {
      socket.destroy() // it has gone before it was taken
    }
  }

  /** Ends all connections. Whoever looks on is told of the last of it before, if that takes no longer than `patienceMs`. */
  async close(patienceMs = 0): Promise<void> {
    this.#isClosed = true
    const worker = this.#worker
    this.#worker = null
    if (worker === null) return
    if (patienceMs > 0) await told(worker, patienceMs)
    void worker.terminate()
  }

  #started(): Worker | null {
    try {
      this.#worker ??= this.#start()
    } catch (error) {
      this.#say((error as Error).message, 'the next request tries again to start its thread')
    }
    return this.#worker
  }

  #start(): Worker {
    const { data, maxHeapMb = MAX_HEAP_MB } = this.#options
    const file = this.#options.file ?? entry('web/worker')
    leaveDeleted()
    const worker = new Worker(file, {
      name: 'web',
      workerData: data,
      // Not the flags of this process: with the library they are somebody else's.
      execArgv: ['--disable-warning=ExperimentalWarning'],
      resourceLimits: { maxOldGenerationSizeMb: maxHeapMb },
    })
    worker.unref()
    worker.on('message', (message: FromWeb) => {
      if (message.kind === 'fault') this.#say(message.text, 'it goes on')
    })
    const gone = (why: string): void => {
      if (this.#worker !== worker) return
      this.#worker = null
      this.#say(why, 'the next request starts it anew')
    }
    worker.on('error', (error) => gone((error as Error).stack ?? String(error)))
    worker.on('exit', (code) => gone(`exit code ${code}`))
    return worker
  }

  /** The same fault once, and not too many others. */
  #say(text: string, then: string): void {
    if (this.#isClosed || this.#said.has(text) || this.#said.size >= MAX_FAULTS) return
    this.#said.add(text)
    this.#options.say(`page: a fault of ours, ${then}: ${text}`)
  }
}

/** Resolves when readers have been told of the last, or cannot be. */
function told(worker: Worker, patienceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, patienceMs)
    const over = (): void => {
      clearTimeout(timer)
      resolve()
    }
    worker.on('message', (message: FromWeb) => message.kind === 'told' && over())
    worker.once('exit', over)
    worker.postMessage({ socket: null } satisfies ToWeb)
  })
}
