import { Bridge } from '../bridge.ts'
import { startChild, type Child } from '../receivers/exec/index.ts'
import { ENDING, FORWARDED, GroupWatch, ignoredSignals, withIgnored } from '../receivers/exec/signals.ts'
import { Via } from '../otlp/via.ts'
import type { Context } from './app.ts'
import { emergency } from './emergency.ts'
import { screenOf } from './console.ts'
import { DaemonFile } from './daemon-file.ts'
import { Ending } from './ending.ts'
import { EXIT, exitCodeOf } from './exit-codes.ts'
import { findResumable } from './resume.ts'
import { listenersOf, openReceiver, otlpEnv } from './otlp.ts'
import { LatePage } from './late-page.ts'
import { newRun, ulid } from './start.ts'

/** When the command has ended and its outputs have not (a process that it left behind), they are read this much longer. */
const OUTPUT_PATIENCE_MS = 8000

/** `exec`: runs a command, bridges both its outputs, and exits as it did. */
export async function exec(context: Context): Promise<number> {
  const { loaded, stateDir, directory, voice, env } = context
  const command = context.flags.rest
  const { settings } = loaded
  const say = (text: string): void => voice.say(text)
  if (command.length === 0) {
    say('exec: expected a command, got nothing: spanbridge exec -- python train.py')
    return EXIT.usage
  }
  const start = newRun(settings, 'exec', command, directory)
  const resume = findResumable(settings, stateDir, start, say)
  if (resume instanceof Error) {
    say(resume.message)
    return EXIT.usage
  }
  const files = settings.files.length === 0 ? null : await import('./files.ts')
  const followed = (await files?.followedBy(context)) ?? {
    patterns: [],
    problems: [],
    before: new Map<string, number>(),
  }
  if (followed.problems.length > 0) {
    for (const problem of followed.problems) say(problem)
    return EXIT.usage
  }
  const ignored = ignoredSignals(context.ignoredSignals)
  const signals = forwardSignals(ignored, context.earlySignals)
  const via = new Via(ulid(Date.now()))
  const receiver = await openReceiver(context, via, true)
  if (receiver.problem !== null) {
    say(receiver.problem)
    await receiver.server?.close()
    return EXIT.usage
  }
  const childEnv = otlpEnv(env, receiver.server, start.run, settings)
  const child = startChild({ command: withIgnored(command, ignored), env: childEnv, onError: say })
  signals.to(child)
  if (!child.isStarted) {
    // A command that was mistyped is no run.
    signals.stop()
    await receiver.server?.close()
    return (await child.ended).code
  }
  passOutput(child, context)
  const daemon = new DaemonFile(stateDir, start.startedAt)
  const ready = Promise.withResolvers<void>()
  const bridge = new Bridge({
    settings: receiver.settings,
    stateDir,
    start,
    resume,
    // Whoever finds a port that only the command was told of belongs to it.
    isOnlyRun: loaded.sources['otlpHttp.listen'] === 'default' || settings['mlflow.runId'] !== null,
    newRun: (sender) => newRun(settings, 'network', [], directory, sender),
    via: via.own,
    command: context.command,
    mayWait: false,
    console: settings.console,
    say,
    onReady: ready.resolve,
  })
  receiver.to(bridge)
  const ending = new Ending(bridge)
  signals.onEnding(() => ending.signal())
  const following = files?.follow(context, followed, bridge, ending)
  const fault = (error: Error): void => {
    ending.fault()
    say(`a fault of ours, the output is only passed on from here: ${error.stack ?? error.message}`)
  }
  child.stdout.attach(bridge.stream(screenOf(context, 1)), fault)
  child.stderr.attach(bridge.stream(screenOf(context, 2)), fault)
  child.stdout.startResting()
  child.stderr.startResting()
  const listeners = listenersOf(receiver)
  const { run, startedAt } = start
  // Not while the command and we both start.
  const page = new LatePage(
    context,
    { kind: 'daemon', run, startedAt, listeners, files: followed.patterns },
    ready.promise,
  )
  void Promise.all([page.opened, ready.promise]).then(([it]) => daemon.write(listenersOf(receiver, it), it?.url))
  const { code, status } = await child.ended
  signals.stop()
  await readRest(child, async () => {
    await child.leaveToCat(settings.quiet, () => drained(context))
    say(
      `${start.command[0]!} has ended, but a process that it started still writes to its output: passed on by 'cat', not recorded any more`,
    )
  })
  await receiver.server?.close()
  await following?.stop(ending.restMs)
  const outcome = await ending.finish(status)
  await bridge.close()
  await page.close()
  daemon.remove()
  return settings.strict && code === 0 ? exitCodeOf(outcome) : code
}

const drained = async ({ stdout, stderr }: Context): Promise<void> => {
  await Promise.all([stdout.drained(), stderr.drained()])
}

function passOutput(child: Child, context: Context): void {
  const { loaded, stdout, stderr } = context
  const { quiet, console } = loaded.settings
  for (const [tee, output] of [
    [child.stdout, stdout],
    [child.stderr, stderr],
  ] as const) {
    if (console) tee.renderTo(quiet ? null : output)
    else tee.passTo(quiet ? null : output)
  }
  emergency.beCat = async () => {
    child.stdout.attach(null)
    child.stderr.attach(null)
    const { code } = await child.ended
    await readRest(child, () => child.leaveToCat(loaded.settings.quiet, () => drained(context)))
    await drained(context)
    return code
  }
}

interface Signals {
  to(child: Child): void
  onEnding(then: () => void): void
  stop(): void
}

/** Takes signals from now on, and hands them to the command once it is there, unless it has had them itself. */
function forwardSignals(ignored: readonly string[], early: readonly NodeJS.Signals[]): Signals {
  const watch = new GroupWatch()
  const child = Promise.withResolvers<Child>()
  let isOver = false
  let onEnding: (() => void) | null = null
  let isEnding = false
  const forward = async (signal: NodeJS.Signals): Promise<void> => {
    const hadIt = await watch.reachedGroup(signal)
    if (!isOver && !hadIt) (await child.promise).kill(signal)
  }
  const take = (signal: NodeJS.Signals): void => {
    if (ignored.includes(signal)) return
    void forward(signal)
    if (!ENDING.has(signal)) return
    isEnding = true
    onEnding?.()
  }
  for (const signal of early) take(signal)
  for (const signal of FORWARDED) process.on(signal, () => take(signal))
  return {
    to: (started) => child.resolve(started),
    onEnding: (then) => {
      onEnding = then
      if (isEnding) then()
    },
    stop: () => {
      isOver = true
      watch.stop()
    },
  }
}

/** Reads the outputs to their end, or for a while; the rest is left to somebody else. */
async function readRest(child: Child, leave: () => Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const patience = new Promise<'left'>((resolve) => {
    timer = setTimeout(() => resolve('left'), OUTPUT_PATIENCE_MS)
  })
  const ended = Promise.all([child.stdout.ended, child.stderr.ended]).then(() => 'ended' as const)
  if ((await Promise.race([ended, patience])) === 'left') await leave()
  clearTimeout(timer)
}
