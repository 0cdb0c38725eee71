import type { Bridge } from '../bridge.ts'
import type { RunStart } from '../channel/messages.ts'
import type { Settings } from '../config/settings.ts'
import { FileReceiver } from '../receivers/file/index.ts'
import { absolute, filesNow, identityOf, isGlob, problemOf } from '../receivers/file/patterns.ts'
import type { Context } from './app.ts'
import { screenOf } from './console.ts'
import type { Ending } from './ending.ts'
import { nameOfFiles, newRun } from './start.ts'

/** What is to be followed, and what is wrong with that. */
export interface Followed {
  /** Absolute, each once. */
  patterns: string[]
  problems: string[]
  /** What is there of them now, before a command writes. */
  before: Map<string, number>
}

/** The files that the settings name. */
export async function followedBy({ loaded, directory }: Context): Promise<Followed> {
  const patterns = absolute(loaded.settings.files, directory)
  const problems = patterns.map(problemOf).filter((problem) => problem !== null)
  return { patterns, problems: problems.map((problem) => `files: ${problem}`), before: await filesNow(patterns) }
}

/** The run of some files: the same ones followed again go on with it. */
export function runOfFiles(settings: Settings, patterns: readonly string[], directory: string): RunStart {
  const runId = settings['mlflow.runId']
  const identity = `${identityOf(patterns)}${runId === null ? '' : `@${runId}`}`
  const name = patterns.some(isGlob) ? null : nameOfFiles(patterns)
  return newRun(settings, 'file', [], directory, { identity, trackerRun: null, name })
}

/** Begins to follow: into the run of this process if there is one, else into one of their own. */
export function follow(context: Context, { patterns, before }: Followed, bridge: Bridge, ending: Ending): FileReceiver {
  const { loaded, directory, voice } = context
  const { settings } = loaded
  const { main } = bridge
  const receiver = new FileReceiver({
    patterns,
    fromStart: settings.fromStart,
    before,
    begin: () => main ?? bridge.beginLines(runOfFiles(settings, patterns, directory)),
    idleMs: main === null ? settings['runs.idle'] : null,
    screen: { ...screenOf(context, 1), text: null },
    now: Date.now,
    say: (text) => voice.say(text),
    onFault: (error) => {
      ending.fault()
      voice.say(`a fault of ours, files are followed no more: ${error.stack ?? error.message}`)
    },
  })
  void receiver.ready.then(
    () => receiver.isStopping || voice.say(wordsOf(receiver.count, patterns)),
    () => {},
  )
  return receiver
}

function wordsOf(count: number, patterns: readonly string[]): string {
  const what = patterns.join(', ')
  if (count === 0) return `no file is there yet for ${what}: it is followed as soon as there is one`
  return `following ${count === 1 ? '1 file' : `${count} files`} (${what})`
}
