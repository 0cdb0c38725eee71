import { statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { Context } from './app.ts'
import { DaemonFile } from './daemon-file.ts'
import { EXIT } from './exit-codes.ts'
import { openPage } from './page.ts'

/** What is shown: a directory of journals, or one journal in it. */
interface Shown {
  directory: string
  only?: string
}

/** `view`: serves the page over journals, without taking anything in, until a signal ends it. */
export async function view(context: Context): Promise<number> {
  const { flags, loaded, stateDir, voice } = context
  if (loaded.settings['web.listen'] === null) {
    voice.say("view: expected an address to serve the page at, got web.listen 'off'")
    return EXIT.usage
  }
  const shown = shownBy(flags.rest, stateDir)
  if (shown instanceof Error) {
    voice.say(`view: ${shown.message}`)
    return EXIT.usage
  }
  const startedAt = Date.now()
  const signalled = new Promise<void>((then) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => then())
  })
  const page = await openPage(context, { kind: 'view', run: null, startedAt, listeners: {}, files: [], ...shown })
  if (page === null) return EXIT.noState
  voice.say(`shows the runs in ${shown.only ?? shown.directory}; Ctrl-C ends it`)
  const daemon = new DaemonFile(stateDir, startedAt)
  daemon.write({ web: page.address }, page.url)
  await signalled
  page.close()
  daemon.remove()
  return EXIT.ok
}

/** What the words behind `view` mean; none: the state directory. */
function shownBy(words: readonly string[], stateDir: string): Shown | Error {
  if (words.length === 0) return { directory: stateDir }
  if (words.length > 1) return new Error(`expected one directory or journal, got ${words.length}`)
  const path = resolve(words[0]!)
  const stat = statSync(path, { throwIfNoEntry: false })
  if (stat?.isDirectory() === true) return { directory: path }
  if (stat?.isFile() === true && path.endsWith('.sqlite')) return { directory: dirname(path), only: path }
  return new Error(
    `expected a directory of journals or one journal (a .sqlite file), got '${words[0]!}'${stat === undefined ? ', which is not there' : ''}`,
  )
}
