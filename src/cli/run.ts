import { Bridge } from '../bridge.ts'
import { beCat, type Context } from './app.ts'
import { screenOf } from './console.ts'
import { DaemonFile } from './daemon-file.ts'
import { Ending } from './ending.ts'
import { EXIT, exitCodeOf } from './exit-codes.ts'
import { findResumable } from './resume.ts'
import { listenersOf, openReceiver } from './otlp.ts'
import { newRun } from './start.ts'

/** `run`: bridges standard input to its end. */
export async function run(context: Context): Promise<number> {
  const { loaded, stateDir, directory, stdout, voice } = context
  const { settings } = loaded
  let { input } = context
  if (settings.stdin === 'on' && input === null) {
    const { Tee } = await import('../receivers/tee.ts')
    input = { kind: 'stream', tee: new Tee(process.stdin) }
  }
  if (input === null || settings.stdin === 'off') {
    voice.say(
      'there is nothing to read: put it behind a trainer (trainer | spanbridge), before one (spanbridge exec -- trainer), or feed it a file (spanbridge < log.jsonl)',
    )
    await beCat(context)
    return EXIT.usage
  }
  const { tee, kind } = input
  const output = settings.quiet ? null : stdout
  if (settings.console) tee.renderTo(output)
  else tee.passTo(output)
  const start = newRun(settings, 'stdin', [], directory)
  const say = (text: string): void => voice.say(text)
  const resume = findResumable(settings, stateDir, start, say)
  if (resume instanceof Error) {
    voice.say(resume.message)
    await beCat(context)
    return EXIT.usage
  }
  const receiver = await openReceiver(context, start.run, false)
  if (receiver.problem !== null) {
    voice.say(receiver.problem)
    await receiver.server?.close()
    await beCat(context)
    return EXIT.usage
  }
  const daemon = new DaemonFile(stateDir, start.startedAt)
  const bridge = new Bridge({
    settings: receiver.settings,
    stateDir,
    start,
    resume,
    command: context.command,
    mayWait: kind === 'file',
    console: settings.console,
    say,
    onReady: () => daemon.write(listenersOf(receiver)),
  })
  receiver.to(bridge)
  const ending = new Ending(bridge)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => ending.signal())
  tee.attach(bridge.stream(screenOf(context, 1)), (error) => {
    ending.fault()
    say(`a fault of ours, the input is only passed on from here: ${error.stack ?? error.message}`)
  })
  await tee.ended
  await receiver.server?.close()
  const outcome = await ending.finish('FINISHED')
  await bridge.close()
  daemon.remove()
  return exitCodeOf(outcome)
}
