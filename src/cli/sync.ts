import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { FromDelivery, Outcome } from '../channel/messages.ts'
import { systemClock } from '../delivery/clock.ts'
import { DeliveryThread } from '../delivery/thread.ts'
import { createExporters } from '../exporters/index.ts'
import { readStateDir } from '../journal/status.ts'
import { isBusy } from '../journal/lock.ts'
import type { Context } from './app.ts'
import { EXIT, exitCodeOf } from './exit-codes.ts'

/** `sync`: delivers what is left in the journals that are named (by run or file), or in all that no process holds. */
export async function sync(context: Context): Promise<number> {
  const { flags, loaded, stateDir, voice } = context
  if (createExporters(loaded.settings).length === 0) {
    voice.say('sync: there is no destination; set MLFLOW_TRACKING_URI or --mlflow-tracking-uri')
    return EXIT.usage
  }
  const journals = flags.rest.length > 0 ? flags.rest.map((word) => find(word, stateDir)) : allIn(stateDir)
  let code: number = EXIT.ok
  for (const [i, journal] of journals.entries()) {
    if (journal === null) {
      voice.say(`sync: there is no journal '${flags.rest[i]!}': expected a file, or a run in ${stateDir}`)
      code = EXIT.usage
    } else code = Math.max(code, await deliver(journal, context))
  }
  return code
}

const find = (word: string, stateDir: string): string | null =>
  [resolve(word), join(stateDir, `${word}.sqlite`)].find((path) => path.endsWith('.sqlite') && existsSync(path)) ?? null

const allIn = (stateDir: string): string[] =>
  readStateDir(stateDir)
    .runs.filter(({ status }) => status !== 'running')
    .map(({ journal }) => journal)

async function deliver(journal: string, { loaded, stateDir, voice }: Context): Promise<number> {
  const finished = Promise.withResolvers<Outcome>()
  const thread = new DeliveryThread({
    settings: loaded.settings,
    stateDir,
    exporters: createExporters(loaded.settings),
    post: (message: FromDelivery) => {
      if (message.kind === 'say') voice.say(message.text)
      else if (message.kind === 'finished') finished.resolve(message.outcome)
    },
    clock: systemClock,
  })
  try {
    thread.take({ kind: 'open', journal })
  } catch (error) {
    voice.say(
      `sync: ${journal} cannot be delivered: ${isBusy(error) ? 'a running spanbridge holds it, and delivers it itself' : (error as Error).message}`,
    )
    return EXIT.incomplete
  }
  const onSignal = (): void => thread.take({ kind: 'stop' })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, onSignal)
  thread.take({ kind: 'finish', limitMs: null })
  const outcome = await finished.promise
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.removeListener(signal, onSignal)
  return exitCodeOf(outcome)
}
