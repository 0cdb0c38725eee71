import { spawn } from 'node:child_process'
import { isatty } from 'node:tty'
import { readSettingsOf } from '../config/load.ts'
import { isLoopback } from '../config/loopback.ts'
import { listenForPage, type WebListener } from '../web/listen.ts'
import { testLine } from '../web/test-line.ts'
import { WebThread } from '../web/thread.ts'
import { tokenOfShown } from '../web/token.ts'
import { quoted } from '../telemetry/words.ts'
import type { Context } from './app.ts'
import { version } from './help.ts'

/** What the end waits at most until an open page has the last points, and how the run ended. */
const LAST_LOOK_MS = 1000

/** What a page shows, and of which process. */
export interface PageOf {
  kind: 'daemon' | 'view'
  /** The run of this process. */
  run: string | null
  /** UTC ms. */
  startedAt: number
  /** Addresses by receiver. */
  listeners: Readonly<Record<string, string>>
  /** Files that are followed. */
  files: readonly string[]
  /** Directory of the journals that are shown; default: that of the settings. */
  directory?: string
  /** One journal of it only. */
  only?: string | null
}

/** A page that is served. */
export interface ServedPage {
  /** As `host:port`. */
  readonly address: string
  /** With the token. */
  readonly url: string
  /** Ends it, also for those who look at it, once they have the last of it, and says how they see it again. */
  close(): Promise<void>
  /** The process may end while it is served. */
  unref(): void
}

/**
 * Serves the page, if the settings say so, and says where. Null: it is off, or, with a word, cannot be listened for. Where
 * it was not asked for by name, a port that is taken is no reason to be without. `isOver`: what it shows has ended already.
 */
export async function openPage(
  context: Context,
  what: PageOf,
  isOver = (): boolean => false,
): Promise<ServedPage | null> {
  const { loaded, voice } = context
  const listen = loaded.settings['web.listen']
  if (listen === null) return null
  const isNamed = loaded.sources['web.listen'] !== 'default'
  const wanted = `${listen.host}:${listen.port}`
  let isUsed = false
  let thread: WebThread | null = null
  let listener: WebListener
  try {
    listener = await listenForPage({
      ...listen,
      isNamed,
      take: (socket) => {
        isUsed = true
        thread!.take(socket)
      },
    })
  } catch (error) {
    voice.say(`page: ${wanted} cannot be listened on (${(error as Error).message}); there is no page`)
    return null
  }
  if (isOver()) {
    listener.close()
    return null
  }
  const token = tokenOfShown(what.directory ?? context.stateDir, context.stateDir)
  const { address, port } = listener
  const url = `http://${address.replace(/^(?:0\.0\.0\.0|\[::\])(?=:)/, '127.0.0.1')}/?token=${token}`
  thread = new WebThread({
    data: {
      guard: { token, host: listen.host, port },
      serving: servingOf(context, what, address),
      reading: readSettingsOf(loaded.settings),
      only: what.only ?? null,
    },
    say: (text) => voice.say(text),
  })
  const isMoved = listen.port !== 0 && port !== listen.port
  voice.say(`page: ${url}${isMoved ? ` (${wanted} is taken)` : ''}`)
  if (!isLoopback(listen.host))
    voice.say(`page: others can reach ${address}; what it shows, and its token, travel readable`)
  if (loaded.settings['web.open']) openInBrowser(url, (text) => voice.say(text))
  return {
    address,
    url,
    close: async () => {
      listener.close()
      await thread.close(LAST_LOOK_MS)
      const isLooked = isUsed || isatty(2)
      if (what.kind === 'daemon' && isLooked) voice.say(`see it again with: ${viewCommand(context)}`)
    },
    unref: () => listener.unref(),
  }
}

/** What the page tells of the process that serves it. */
function servingOf(context: Context, what: PageOf, address: string) {
  const { loaded, command } = context
  const { kind, run, startedAt, files } = what
  const stateDir = what.directory ?? context.stateDir
  const isPipeFit = kind === 'view' && what.only === undefined
  return {
    version: version(),
    stateDir,
    server: {
      kind,
      pid: process.pid,
      startedAt,
      run,
      listeners: { ...what.listeners, web: address },
      files,
      testLine: testLine({
        otlp: what.listeners['otlp-http'],
        needsToken: loaded.settings['otlpHttp.token'] !== null,
        stateDir: isPipeFit ? stateDir : null,
        command,
      }),
    },
  }
}

/** The command that shows the runs again when nothing serves them any more. */
const viewCommand = ({ command, loaded, stateDir }: Context): string =>
  [command, 'view', ...(loaded.sources.stateDir === 'default' ? [] : [stateDir])].map(quoted).join(' ')

function openInBrowser(url: string, say: (text: string) => void): void {
  const opener = process.platform === 'darwin' ? 'open' : 'xdg-open'
  const fail = (why: string): void => say(`page: '${opener}' has opened no browser (${why}); open the address by hand`)
  const child = spawn(opener, [url], { stdio: 'ignore', detached: true })
  child.on('error', ({ message }) => fail(message))
  child.on('exit', (code) => {
    if (code !== 0) fail(`exit code ${code}`)
  })
  child.unref()
}
