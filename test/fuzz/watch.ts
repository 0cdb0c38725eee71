import { Worker } from 'node:worker_threads'

/** An input that takes this long will not end any more. */
const HANG_MS = 20_000

const WORKER = `
const { workerData: { words, count } } = require('node:worker_threads')
const text = () => new TextDecoder().decode(words.slice(0, Atomics.load(count, 1)))
let last = -1
setInterval(() => {
  const now = Atomics.load(count, 0)
  if (now === last) {
    process._rawDebug('hangs: ' + text())
    process.kill(process.pid, 'SIGKILL')
  }
  last = now
}, ${HANG_MS})`

/** Tells which input hangs, from a thread of its own, and ends the process: nothing else can. */
export class Watch {
  readonly #words = new Uint8Array(new SharedArrayBuffer(1024))
  /** Inputs so far, and the length of what is said of the last one. */
  readonly #count = new Int32Array(new SharedArrayBuffer(8))
  readonly #worker: Worker

  constructor() {
    this.#worker = new Worker(WORKER, { eval: true, workerData: { words: this.#words, count: this.#count } })
    this.#worker.unref()
  }

  begin(words: string): void {
    const { written } = new TextEncoder().encodeInto(words, this.#words)
    Atomics.store(this.#count, 1, written)
    Atomics.add(this.#count, 0, 1)
  }

  [Symbol.dispose](): void {
    void this.#worker.terminate()
  }
}
