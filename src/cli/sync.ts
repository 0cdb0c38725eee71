import type { FromDelivery, Outcome } from '../channel/messages.ts'
import { systemClock } from '../delivery/clock.ts'
import { retryRejected } from '../delivery/rejected.ts'
import { takeJournal } from '../delivery/run.ts'
import { DeliveryThread } from '../delivery/thread.ts'
import { createExporters } from '../exporters/index.ts'
import { isOwed, lacksSomething, readJournal, readStateDir, type RunStatus } from '../journal/status.ts'
import { isBusy } from '../journal/lock.ts'
import { Via } from '../otlp/via.ts'
import type { Context } from './app.ts'
import { number } from '../telemetry/words.ts'
import { EXIT, exitCodeOf } from './exit-codes.ts'
import { findJournal, noSuchRun } from './find-run.ts'
import { ulid } from './start.ts'
import { Progress } from './sync-progress.ts'

/** `sync`: delivers what is left in the journals that are named (by run or file), or in all that no process holds. */
export async function sync(context: Context): Promise<number> {
  const { flags, loaded, stateDir, voice } = context
  const exporters = createExporters({ settings: loaded.settings, via: new Via(ulid(Date.now())) })
  if (exporters.length === 0) {
    voice.say('sync: there is no destination; set MLFLOW_TRACKING_URI or --mlflow-tracking-uri')
    return EXIT.usage
  }
  const { runs, unreadable } = readStateDir(stateDir)
  const named = flags.rest.map((word) => findJournal(word, runs))
  const addresses = exporters.map(({ address }) => address)
  await Promise.all(exporters.map((exporter) => exporter.close()))
  const needs = (run: RunStatus): boolean => needsDelivery(run, addresses) || (flags.rejected && hasRefused(run))
  const owed = runs.filter((run) => !run.isHeld && needs(run)).map(({ journal }) => journal)
  const journals = flags.rest.length > 0 ? named : owed
  let code: number = EXIT.ok
  if (flags.rest.length === 0) {
    for (const { journal, error } of unreadable) voice.say(`sync: ${journal} cannot be read (${error})`)
    const held = runs.filter((run) => run.isHeld).map(({ name, pid }) => `${name} (process ${pid ?? '?'})`)
    if (held.length > 0) voice.say(`sync: left to the processes that run or deliver them: ${held.join(', ')}`)
    if (journals.length === 0)
      voice.say(`sync: nothing ${held.length > 0 ? 'else ' : ''}is left to deliver in ${stateDir}`)
    if (unreadable.length > 0) code = EXIT.incomplete
  }
  for (const [i, journal] of journals.entries()) {
    if (journal === null) {
      voice.say(`sync: ${noSuchRun(flags.rest[i]!, runs, stateDir)}`)
      code = EXIT.usage
    } else code = Math.max(code, await deliver(journal, context))
  }
  return code
}

const needsDelivery = ({ status, destinations }: RunStatus, addresses: readonly string[]): boolean =>
  status === 'interrupted' ||
  destinations.length === 0 ||
  destinations.some((each) => isOwed(each) || (addresses.includes(each.address) && lacksSomething(each)))

const hasRefused = ({ destinations }: RunStatus): boolean =>
  destinations.some(({ points, params, tags, spans }) =>
    [points, params, tags, spans].some((kind) => (kind?.rejected ?? 0) > 0),
  )

const holderOf = (journal: string): string =>
  `process ${readJournal(journal).pid ?? 'of another spanbridge'} holds it, and delivers it itself`

async function deliver(journal: string, context: Context): Promise<number> {
  const { voice, stderr, flags } = context
  const progress = new Progress(journal, stderr, voice)
  const say = (text: string): void => {
    progress.clear()
    voice.say(text)
  }
  try {
    const code = await deliverPending(journal, context, say)
    return flags.rejected ? Math.max(code, await deliverRejected(journal, context, say)) : code
  } catch (error) {
    say(`sync: ${journal} cannot be delivered: ${isBusy(error) ? holderOf(journal) : (error as Error).message}`)
    return EXIT.incomplete
  } finally {
    progress.end()
  }
}

/** @throws when it is no journal, or another process holds it (`isBusy`) */
async function deliverPending(
  journal: string,
  { loaded, stateDir, command }: Context,
  say: (text: string) => void,
): Promise<number> {
  const finished = Promise.withResolvers<Outcome>()
  const thread = new DeliveryThread({
    settings: loaded.settings,
    stateDir,
    command,
    createExporters: (trackerRun) =>
      createExporters({ settings: loaded.settings, via: new Via(ulid(Date.now())) }, trackerRun),
    onVia: () => {},
    post: (message: FromDelivery) => {
      if (message.kind === 'say') say(message.text)
      else if (message.kind === 'finished') finished.resolve(message.outcome)
    },
    clock: systemClock,
  })
  await thread.open(journal)
  const onSignal = (): void => thread.take({ kind: 'stop' })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, onSignal)
  thread.take({ kind: 'finish', limitMs: null })
  const outcome = await finished.promise
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.removeListener(signal, onSignal)
  return exitCodeOf(outcome)
}

/** What was refused goes once more. @throws as above */
async function deliverRejected(path: string, { loaded }: Context, say: (text: string) => void): Promise<number> {
  const { journal, lock } = takeJournal(path)
  const exporters = createExporters(
    { settings: loaded.settings, via: new Via(ulid(Date.now())) },
    journal.readStart().trackerRun,
  )
  let code: number = EXIT.ok
  try {
    for (const exporter of exporters) {
      const cut = new AbortController().signal
      const { taken, refused, error } = await retryRejected({ journal, exporter, clock: systemClock, cut })
      if (taken + refused > 0 || error !== null)
        say(
          `sync: ${exporter.name}: of what was refused ${number(taken)} ${taken === 1 ? 'is' : 'are'} taken now, ${number(refused)} refused again${error === null ? '' : `; then ${error.message}`}`,
        )
      if (error !== null) code = EXIT.incomplete
    }
    return code
  } finally {
    await Promise.all(exporters.map((exporter) => exporter.close()))
    journal.close()
    lock.release()
  }
}
