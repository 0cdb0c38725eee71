import { closeSync, openSync, writeSync } from 'node:fs'
import type { Output } from '../telemetry/output.ts'
import type { Sink } from './table.ts'

/** Our own output: waits for its reader, and stops when that one has gone (`| head`). */
export const outputSink = (output: Output): Sink => ({
  write: async (bytes) => {
    output.write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
    await output.drained()
    return !output.isGone
  },
})

/** A file, made anew. @throws what the file system says */
export class FileSink implements Sink {
  readonly #file: number

  constructor(path: string) {
    this.#file = openSync(path, 'w')
  }

  write(bytes: Uint8Array): Promise<boolean> {
    for (let at = 0; at < bytes.byteLength;) at += writeSync(this.#file, bytes, at)
    return Promise.resolve(true)
  }

  close(): void {
    closeSync(this.#file)
  }
}
