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
  /** The run that is looked at first. */
  run: string | null
}

/** `view`: serves the page over journals, without taking anything in but finished logs, until a signal ends it. */
export async function view(context: Context): Promise<number> {
  const { flags, loaded, stateDir, voice } = context
  if (loaded.settings['web.listen'] === null) {
    voice.say("view: expected an address to serve the page at, got web.listen 'off'")
    return EXIT.usage
  }
  let shown: Shown
  try {
    shown = await shownBy(flags.rest, context)
  } catch (error) {
    voice.say(`view: ${(error as Error).message}`)
    return EXIT.usage
  }
  const startedAt = Date.now()
  const signalled = new Promise<void>((then) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => then())
  })
  const page = await openPage(context, { kind: 'view', startedAt, listeners: {}, files: [], ...shown })
  if (page === null) return EXIT.noState
  voice.say(`shows the runs in ${shown.only ?? shown.directory}; Ctrl-C ends it`)
  const daemon = new DaemonFile(stateDir, startedAt)
  daemon.write({ web: page.address }, page.url)
  await signalled
  await page.close()
  daemon.remove()
  return EXIT.ok
}

/** What the words behind `view` mean; none: the state directory. @throws with words for the user */
async function shownBy(words: readonly string[], context: Context): Promise<Shown> {
  const { stateDir, directory, command, loaded, voice } = context
  if (words.length === 0) return { directory: stateDir, run: null }
  const path = resolve(directory, words[0]!)
  const stat = statSync(path, { throwIfNoEntry: false })
  const isPlace = stat?.isDirectory() === true || path.endsWith('.sqlite')
  if (isPlace && words.length > 1) throw new Error(`expected one directory or journal, or logs, got ${words.length}`)
  if (stat?.isDirectory() === true) return { directory: path, run: null }
  if (stat?.isFile() === true && path.endsWith('.sqlite')) return { directory: dirname(path), only: path, run: null }
  if (stat?.isFile() !== true)
    throw new Error(
      `expected a directory of journals, a journal (a .sqlite file) or logs, got '${words[0]!}'${stat === undefined ? ', which is not there' : ''}`,
    )
  const { ingestFiles } = await import('./ingest.ts')
  const say = (text: string): void => voice.say(text)
  const run = await ingestFiles(words, { settings: loaded.settings, stateDir, directory, command, say })
  return { directory: stateDir, run }
}
