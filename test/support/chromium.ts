import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { Browser } from 'playwright-core'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

/** Where the Chromium of this machine is; null: there is none. */
export function findChromium(): string | null {
  const named = process.env['SPANBRIDGE_CHROMIUM']
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  const candidates = named === undefined ? folders.flatMap((part) => NAMES.map((name) => join(part, name))) : [named]
  return candidates.find(isExecutable) ?? null
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Starts it, in a world where no name but this machine's address means anything. @throws in words, where there is none */
export async function launchChromium(): Promise<Browser> {
  const executablePath = findChromium()
  if (executablePath === null)
    throw new Error(
      'the page is looked at with a real Chromium, and there is none in PATH or where SPANBRIDGE_CHROMIUM says: ' +
        "install it ('apt-get install chromium' on Debian), or name one in SPANBRIDGE_CHROMIUM",
    )
  const { chromium } = await import('playwright-core')
  const args = ['--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1']
  return chromium.launch({ executablePath, args: process.getuid?.() === 0 ? [...args, '--no-sandbox'] : args })
}
