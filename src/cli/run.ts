import { setImmediate } from 'node:timers/promises'
import { Bridge } from '../bridge.ts'
import { Via } from '../otlp/via.ts'
import { beCat, type Context, type Input } from './app.ts'
import { screenOf } from './console.ts'
import { DaemonFile } from './daemon-file.ts'
import { Ending } from './ending.ts'
import { EXIT, exitCodeOf } from './exit-codes.ts'
import type { Followed } from './files.ts'
import { listenersOf, mayLeadBack, noReceiver, openReceiver, type OtlpReceiver } from './otlp.ts'
import { LatePage } from './late-page.ts'
import type { ServedPage } from './page.ts'
import { newRun } from './start.ts'

const NOTHING_TO_READ =
  'there is nothing to read: put it behind a trainer (trainer | spanbridge), before one (spanbridge exec -- trainer), feed it a file (spanbridge < log.jsonl), follow files (--file train.jsonl), or let it receive OTLP (--otlp-http-listen)'

const NO_FILES: Followed = { patterns: [], problems: [], before: new Map() }

/** `run`: bridges standard input to its end; without one, files and what comes by OTLP until a signal ends it. */
export async function run(context: Context): Promise<number> {
  const { loaded, stateDir, directory, voice } = context
  const { settings } = loaded
  const input = await inputOf(context)
  const say = (text: string): void => voice.say(text)
  const files = settings.files.length === 0 ? null : await import('./files.ts')
  const followed = (await files?.followedBy(context)) ?? NO_FILES
  if (followed.problems.length > 0) return refuse(context, ...followed.problems)
  const isFed = input !== null || files !== null
  if (!isFed && settings['otlpHttp.listen'] === null && settings['web.listen'] === null)
    return refuse(context, NOTHING_TO_READ)
  if (input !== null) show(input, context)
  const named =
    files !== null && input === null
      ? files.runOfFiles(settings, followed.patterns, directory)
      : newRun(settings, input === null ? 'network' : 'stdin', [], directory)
  // Reads journals: loaded only if one may go on.
  const resume =
    settings.resume === null ? null : (await import('./resume.ts')).findResumable(settings, stateDir, named, say)
  if (resume instanceof Error) return refuse(context, resume.message)
  const isGiven = resume !== null || settings['mlflow.runId'] !== null
  const via = new Via(named.run)
  // The HTTP server takes as long to load as all the rest: lines are read before it, unless it decides on destinations.
  const opensLater = input !== null && !mayLeadBack(settings)
  let receiver = opensLater ? noReceiver(settings) : await openReceiver(context, via, false)
  const openPage = (after: Promise<void>): LatePage =>
    new LatePage(
      context,
      {
        kind: 'daemon',
        run: input === null && !isGiven ? null : named.run,
        startedAt: named.startedAt,
        listeners: listenersOf(receiver),
        files: followed.patterns,
      },
      after,
    )
  // Without a trainer to be read there is time for it, and a port that is taken may be a reason not to begin.
  let page = !isFed && receiver.problem === null ? openPage(Promise.resolve()) : null
  if (receiver.problem !== null || (!isFed && lacksListener(context, receiver, (await page?.opened) ?? null))) {
    await page?.close()
    await receiver.server?.close()
    await refuse(context, receiver.problem ?? NOTHING_TO_READ)
    return receiver.problem === null ? EXIT.noState : EXIT.usage
  }
  const daemon = new DaemonFile(stateDir, named.startedAt)
  const ready = Promise.withResolvers<void>()
  const bridge = new Bridge({
    settings: receiver.settings,
    stateDir,
    // What comes from the network, and files without another input, begin runs of its own, unless the user has said which run it is.
    start: input === null && !isGiven ? null : named,
    resume,
    isOnlyRun: settings['mlflow.runId'] !== null || (input === null && isGiven),
    newRun: (sender) => newRun(settings, 'network', [], directory, sender),
    via: via.own,
    command: context.command,
    mayWait: input?.kind === 'file',
    console: settings.console,
    say,
    onReady: ready.resolve,
  })
  const ending = new Ending(bridge)
  const signalled = onSignal(ending)
  const following = files?.follow(context, followed, bridge, ending)
  input?.tee.attach(bridge.stream(screenOf(context, 1)), (error) => {
    ending.fault()
    say(`a fault of ours, the input is only passed on from here: ${error.stack ?? error.message}`)
  })
  if (opensLater) {
    await setImmediate() // what has come so far is read
    receiver = await openReceiver(context, via, false)
  }
  input?.tee.startResting()
  // From a signal on nothing is received from the network, also by one that came before this was open.
  void signalled.then(() => receiver.server?.close())
  receiver.to(bridge)
  // Not while the trainer and we both start.
  page ??= openPage(ready.promise)
  void Promise.all([page.opened, ready.promise]).then(([it]) => daemon.write(listenersOf(receiver, it), it?.url))
  if (input === null) {
    if (receiver.server !== null)
      say(`receiving OTLP at http://${receiver.server.address}; Ctrl-C ends the ${isGiven ? 'run' : 'runs'}`)
    else if (!isFed) say('nothing is received; Ctrl-C ends it')
    await signalled
  } else {
    await input.tee.ended
  }
  await receiver.server?.close()
  // What is not read of files now is read by the next start; of those beside an input nobody goes on.
  await following?.stop(input === null ? 0 : ending.restMs)
  await following?.end(Date.now())
  const outcome = await ending.finish('FINISHED')
  await bridge.close()
  await page.close()
  daemon.remove()
  return exitCodeOf(outcome)
}

/** Whether something that was to listen does not, where nothing else is to be read. */
function lacksListener({ loaded }: Context, { server }: OtlpReceiver, page: ServedPage | null): boolean {
  const { settings, sources } = loaded
  const isPageAsked = settings['web.listen'] !== null && (server === null || sources['web.listen'] !== 'default')
  return (settings['otlpHttp.listen'] !== null && server === null) || (isPageAsked && page === null)
}

/** Standard input, if it is to be read. */
async function inputOf({ input, loaded, stdout }: Context): Promise<Input | null> {
  const { stdin } = loaded.settings
  if (stdin === 'off') {
    // It is read all the same, and passed on: whoever writes there must not wait.
    input?.tee.passTo(loaded.settings.quiet ? null : stdout)
    input?.tee.attach(null)
    return null
  }
  if (stdin !== 'on' || input !== null) return input
  const { Tee } = await import('../receivers/tee.ts')
  return { kind: 'stream', tee: new Tee(process.stdin) }
}

function show({ tee }: Input, { loaded, stdout }: Context): void {
  const output = loaded.settings.quiet ? null : stdout
  if (loaded.settings.console) tee.renderTo(output)
  else tee.passTo(output)
}

/** Says why there is no run, and lets a trainer in the pipe not notice. */
async function refuse(context: Context, ...words: readonly string[]): Promise<number> {
  for (const each of words) context.voice.say(each)
  await beCat(context)
  return EXIT.usage
}

/** Resolves with the first signal that ends a run. */
function onSignal(ending: Ending): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        ending.signal()
        resolve()
      })
    }
  })
}
