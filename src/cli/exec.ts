import { Bridge } from '../bridge.ts'
import { startChild, type Child } from '../receivers/exec/index.ts'
import { FORWARDED, reachesChildItself } from '../receivers/exec/signals.ts'
import type { Context } from './app.ts'
import { Ending } from './ending.ts'
import { EXIT, exitCodeOf } from './exit-codes.ts'
import { newRun } from './start.ts'

/** When the command has ended and its outputs have not (a process that it left behind), they are read this much longer. */
const OUTPUT_PATIENCE_MS = 8000

/** `exec`: runs a command, bridges both its outputs, and exits as it did. */
export async function exec(context: Context): Promise<number> {
  const { loaded, stateDir, directory, stdout, stderr, voice, env } = context
  const command = context.flags.rest
  const { settings } = loaded
  if (command.length === 0) {
    voice.say('exec: expected a command, got nothing: spanbridge exec -- python train.py')
    return EXIT.usage
  }
  const child = startChild(command, env, (text) => voice.say(text))
  child.stdout.passTo(settings.quiet ? null : stdout)
  child.stderr.passTo(settings.quiet ? null : stderr)
  const say = (text: string): void => voice.say(text)
  const bridge = new Bridge({
    settings,
    stateDir,
    start: newRun(settings, 'exec', command, directory),
    mayWait: false,
    say,
  })
  const ending = new Ending(bridge)
  let childEnded = false
  for (const signal of FORWARDED) {
    process.on(signal, () => {
      if (!childEnded && !reachesChildItself(signal)) child.process.kill(signal)
      ending.signal()
    })
  }
  const fault = (error: Error): void =>
    voice.say(`a fault of ours, the output is only passed on from here: ${error.stack ?? error.message}`)
  child.stdout.attach(bridge.stream(), fault)
  child.stderr.attach(bridge.stream(), fault)
  const { code, status } = await child.ended
  childEnded = true
  await readRest(child, () =>
    voice.say(
      `${command[0]!} has ended, but a process that it started still writes to its output: passed on by 'cat', not recorded any more`,
    ),
  )
  const outcome = await ending.finish(status)
  await bridge.close()
  return settings.strict && code === 0 ? exitCodeOf(outcome) : code
}

/** Reads the outputs to their end, or for a while; the rest is left to `cat`. */
async function readRest(child: Child, onLeft: () => void): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const patience = new Promise<'left'>((resolve) => {
    timer = setTimeout(() => resolve('left'), OUTPUT_PATIENCE_MS)
  })
  const ended = Promise.all([child.stdout.ended, child.stderr.ended]).then(() => 'ended' as const)
  if ((await Promise.race([ended, patience])) === 'left') {
    child.leaveToCat()
    onLeft()
  }
  clearTimeout(timer)
}
