import { statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { Bridge } from '../bridge.ts'
import type { RunStart } from '../channel/messages.ts'
import { rulesOf } from '../config/load.ts'
import type { Settings } from '../config/settings.ts'
import { Identities } from '../journal/identities.ts'
import { readMarksOf } from '../journal/marks.ts'
import type { RunStatus } from '../journal/status.ts'
import { FIRST_BYTES, foreignIn } from '../receivers/file/foreign.ts'
import { FileReceiver } from '../receivers/file/index.ts'
import { decodeMark, fits, readAt, type FileMark } from '../receivers/file/mark.ts'
import { absolute, identityOf } from '../receivers/file/patterns.ts'
import { endOfRows } from '../receivers/file/tables.ts'
import { parseLine } from '../receivers/lines/parse.ts'
import { Presets, type LineFormat } from '../receivers/lines/presets.ts'
import { nameOfFiles, newRun } from './start.ts'

export interface IngestOptions {
  settings: Settings
  /** Where the journal of the run is, or comes to be. */
  stateDir: string
  /** What relative paths are relative to. */
  directory: string
  /** How users call us, for the words of the account. */
  command: string
  say: (text: string) => void
}

/**
 * Bridges files from their beginning to their end into one run of a state directory, and delivers nothing. The same
 * files again are the same run: where they have grown it goes on, and nothing is taken twice; where one was replaced
 * another run begins. Resolves with the run's ULID. @throws when a file cannot be read, or the directory not be written
 */
export async function ingestFiles(paths: readonly string[], options: IngestOptions): Promise<string> {
  const files = absolute(paths, options.directory)
  for (const file of files) {
    const stat = statSync(file, { throwIfNoEntry: false })
    if (stat?.isFile() !== true)
      throw new Error(
        `expected a file, got '${file}', which is ${stat === undefined ? 'not there' : 'no regular file'}`,
      )
  }
  for (const file of files) {
    const foreign = foreignIn(file, await firstBytes(file))
    if (foreign !== null) throw new Error(foreign)
  }
  const identities = new Identities(options.stateDir)
  for (let version = 0; ; version += 1) {
    const identity = `view:${identityOf(files)}${version === 0 ? '' : `~${version}`}`
    const run = identities.newest(identity)
    const state = run === null ? 'new' : await compare(files, run, options.settings)
    if (run !== null && (run.isHeld || (state === 'same' && run.endedAt !== null))) return run.run
    if (state === 'replaced') continue
    const name = nameOfFiles(files)
    const start = newRun(options.settings, 'file', [], options.directory, { identity, trackerRun: null, name })
    return bridge(files, start, run?.journal ?? null, options)
  }
}

async function firstBytes(path: string): Promise<Uint8Array> {
  const handle = await open(path, 'r')
  try {
    return await readAt(handle, 0, FIRST_BYTES)
  } finally {
    await handle.close()
  }
}

async function bridge(
  files: readonly string[],
  start: RunStart,
  resume: string | null,
  { settings: given, stateDir, directory, command, say }: IngestOptions,
): Promise<string> {
  const settings = { ...given, 'mlflow.trackingUri': null, 'otlp.endpoint': null, 'otlp.tracesEndpoint': null }
  const bridge = new Bridge({
    settings,
    stateDir,
    start,
    resume,
    isOnlyRun: true,
    newRun: (sender) => newRun(settings, 'network', [], directory, sender),
    via: start.run,
    command,
    mayWait: true,
    console: false,
    say,
    onReady: () => {},
  })
  const fault = Promise.withResolvers<never>()
  const main = bridge.main!
  const receiver = new FileReceiver({
    patterns: files,
    fromStart: true,
    begin: () => main,
    idleMs: null,
    screen: null,
    now: Date.now,
    say,
    onFault: fault.reject,
  })
  try {
    const { ulid } = await Promise.race([receiver.ready, fault.promise])
    await Promise.race([receiver.stop(null), fault.promise])
    const { inMemory } = await bridge.finish({ status: 'FINISHED', time: lastChange(files) }, null)
    if (inMemory) throw new Error(`no journal can be kept in ${stateDir}`)
    return ulid
  } finally {
    await bridge.close()
  }
}

/** UTC ms: what a run that is read of files has for its end. */
const lastChange = (files: readonly string[]): number =>
  Math.max(...files.map((file) => Math.trunc(statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0)))

/** What has become of files since a run has read them. */
async function compare(
  files: readonly string[],
  { journal }: RunStatus,
  settings: Settings,
): Promise<'same' | 'grown' | 'replaced'> {
  const { stepFields } = rulesOf(settings)
  const presets = new Presets({ preset: settings.preset, stepFields, say: () => {} })
  const marks = readMarksOf(journal).flatMap(([key, value]) => {
    const mark = value === null || key.includes('~') ? null : decodeMark(value)
    return mark === null ? [] : [mark]
  })
  let hasGrown = false
  for (const file of files) {
    const mark = marks.find(({ path }) => path === file)
    const rest = mark === undefined ? 'more' : await restBehind(file, mark, presets.stream(null))
    if (rest === 'other') return 'replaced'
    if (rest === 'more') hasGrown = true
  }
  return hasGrown ? 'grown' : 'same'
}

/** What stands behind a mark: nothing that would be taken, more, or the file is another one. */
async function restBehind(path: string, mark: FileMark, format: LineFormat): Promise<'nothing' | 'more' | 'other'> {
  const handle = await open(path, 'r')
  try {
    const { size } = await handle.stat()
    if (!(await fits(handle, size, mark))) {
      const { table: former } = mark
      // A table that was written anew with a column more goes on behind the rows that were taken of it.
      return former !== undefined && (await endOfRows(handle, size, { former, format })) !== null ? 'more' : 'other'
    }
    const rest = (await readAt(handle, mark.offset, Math.min(size - mark.offset, 1 << 20))).toString()
    const isEvent = typeof (parseLine(rest) ?? '') === 'object'
    return rest.includes('\n') || isEvent ? 'more' : 'nothing'
  } finally {
    await handle.close()
  }
}
