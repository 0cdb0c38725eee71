import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { startBridge, temporaryDirectory, type Options, type Running } from './spanbridge.ts'

/** Waits until something is so. */
export const until = (holds: () => unknown, timeout = 20_000): Promise<void> =>
  expect.poll(async () => Boolean(await holds()), { timeout, interval: 20 }).toBe(true)

/** Where a page is, and who may look at it. */
export interface Place {
  /** `http://127.0.0.1:PORT` */
  base: string
  port: number
  token: string
}

/** Where a running daemon serves its page; `args` begin with the verb. */
export async function pageOf(running: Running, stateDir: string): Promise<Place> {
  const place = (): Place | null => {
    try {
      const file = readFileSync(join(stateDir, 'daemons', `${running.child.pid}.json`), 'utf8')
      const { webUrl } = JSON.parse(file) as { webUrl: string }
      const url = new URL(webUrl)
      return { base: url.origin, port: Number(url.port), token: url.searchParams.get('token')! }
    } catch {
      return null
    }
  }
  await until(() => place() !== null)
  return place()!
}

/** Starts spanbridge with a page. */
export async function startWithPage(args: readonly string[], stateDir = temporaryDirectory(), options: Options = {}) {
  const [verb, ...rest] = args
  const running = startBridge([verb!, '--state-dir', stateDir, '--web-listen', '127.0.0.1:0', ...rest], options)
  return { running, stateDir, ...(await pageOf(running, stateDir)) }
}
