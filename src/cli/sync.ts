import type { FromDelivery, Outcome } from '../channel/messages.ts'
import { systemClock } from '../delivery/clock.ts'
import { DeliveryThread } from '../delivery/thread.ts'
import { createExporters } from '../exporters/index.ts'
import { isOwed, lacksSomething, readJournal, readStateDir, type RunStatus } from '../journal/status.ts'
import { isBusy } from '../journal/lock.ts'
import { Via } from '../otlp/via.ts'
import type { Context } from './app.ts'
import { EXIT, exitCodeOf } from './exit-codes.ts'
import { findJournal } from './find-run.ts'
import { ulid } from './start.ts'

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
  const owed = runs.filter((run) => !run.isHeld && needsDelivery(run, addresses)).map(({ journal }) => journal)
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
      voice.say(`sync: there is no journal '${flags.rest[i]!}': expected a file, or a run in ${stateDir}`)
      code = EXIT.usage
    } else code = Math.max(code, await deliver(journal, context))
  }
  return code
}

const needsDelivery = ({ status, destinations }: RunStatus, addresses: readonly string[]): boolean =>
  status === 'interrupted' ||
  destinations.length === 0 ||
  destinations.some((each) => isOwed(each) || (addresses.includes(each.address) && lacksSomething(each)))

const holderOf = (journal: string): string =>
  `process ${readJournal(journal).pid ?? 'of another spanbridge'} holds it, and delivers it itself`

async function deliver(journal: string, { loaded, stateDir, command, voice }: Context): Promise<number> {
  const finished = Promise.withResolvers<Outcome>()
  const thread = new DeliveryThread({
    settings: loaded.settings,
    stateDir,
    command,
    createExporters: (trackerRun) =>
      createExporters({ settings: loaded.settings, via: new Via(ulid(Date.now())) }, trackerRun),
    onVia: () => {},
    post: (message: FromDelivery) => {
      if (message.kind === 'say') voice.say(message.text)
      else if (message.kind === 'finished') finished.resolve(message.outcome)
    },
    clock: systemClock,
  })
  try {
    await thread.open(journal)
  } catch (error) {
    voice.say(`sync: ${journal} cannot be delivered: ${isBusy(error) ? holderOf(journal) : (error as Error).message}`)
    return EXIT.incomplete
  }
  const onSignal = (): void => thread.take({ kind: 'stop' })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, onSignal)
  thread.take({ kind: 'finish', limitMs: null })
  const outcome = await finished.promise
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.removeListener(signal, onSignal)
  return exitCodeOf(outcome)
}
