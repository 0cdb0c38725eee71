/**
 * Loaded before the daemon (`--import`): a disk that takes SLOW_DISK_BYTES a second of what journals store, so that a
 * commit takes as long as what is in it needs.
 */
import { syncBuiltinESMExports } from 'node:module'
import { DatabaseSync, StatementSync } from 'node:sqlite'
import threads, { type WorkerOptions } from 'node:worker_threads'

const BYTES_PER_MS = Number(process.env['SLOW_DISK_BYTES']) / 1000

/* oxlint-disable typescript/unbound-method -- methods of a class are replaced for all its objects */
const { exec } = DatabaseSync.prototype
const { run } = StatementSync.prototype

/** What the transaction has written. */
let bytes = 0
const clock = new Int32Array(new SharedArrayBuffer(4))

DatabaseSync.prototype.exec = function slowly(sql) {
  if (sql === 'COMMIT' && bytes > 0) Atomics.wait(clock, 0, 0, bytes / BYTES_PER_MS)
  if (sql === 'COMMIT' || sql === 'ROLLBACK') bytes = 0
  exec.call(this, sql)
}

StatementSync.prototype.run = function counted(this: StatementSync, ...values: unknown[]) {
  for (const value of values) if (value instanceof Uint8Array) bytes += value.byteLength
  return Reflect.apply(run, this, values) as ReturnType<typeof run>
}

// What is loaded before a process is not loaded before its threads.
if (threads.isMainThread) {
  const { Worker } = threads
  threads.Worker = class extends Worker {
    constructor(file: string | URL, options: WorkerOptions) {
      super(file, { ...options, execArgv: [...(options.execArgv ?? []), '--import', import.meta.url] })
    }
  }
  syncBuiltinESMExports()
}
