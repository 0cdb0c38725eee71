import { Bridge } from '../bridge.ts'
import type { EndStatus, Outcome } from '../channel/messages.ts'
import { newRun, ulid } from '../cli/start.ts'
import { readFlags } from '../config/flags.ts'
import { loadSettings, stateDirOf, type Env } from '../config/load.ts'
import type { SettingName } from '../config/settings.ts'
import { escapeControl } from '../telemetry/say.ts'
import { BridgeSpanProcessor } from './processor.ts'

export interface StartOptions {
  /** Settings by their names in the file; they count before the environment. Default: none. */
  settings?: Partial<Record<SettingName, unknown>>
  /** Default: `process.env`. */
  env?: Env
  /** Hears every line that Spanbridge says. Default: standard error, with `spanbridge: ` before each. */
  say?: (text: string) => void
}

/** A run inside this process. */
export interface RunningBridge {
  /** ULID of the run. */
  readonly run: string
  /** Puts spans of the OpenTelemetry SDK into the run. */
  readonly spanProcessor: BridgeSpanProcessor
  /**
   * Ends the run (default: `FINISHED`) and resolves when everything is delivered, or nothing more can be for now: it is in
   * the journal then, and `complete` is false. Called by itself, with `FINISHED`, when the process has nothing left to do.
   */
  finish(status?: EndStatus): Promise<Outcome>
}

/**
 * Begins a run inside this process: the channel here, journal and delivery on a thread of their own.
 *
 * @throws Error with every problem of the settings, a line each
 * @example const bridge = startBridge({ settings: { 'mlflow.trackingUri': 'http://127.0.0.1:5000' } })
 */
export function startBridge({
  settings: given = {},
  env = process.env,
  say = sayOnStderr,
}: StartOptions = {}): RunningBridge {
  const { settings, problems, notices } = loadSettings(readFlags([], false), env, new Map(Object.entries(given)))
  if (problems.length > 0) throw new Error(problems.join('\n'))
  for (const notice of notices) say(notice)
  const start = newRun(settings, 'library', process.argv.slice(1), process.cwd())
  const bridge = new Bridge({
    settings,
    stateDir: stateDirOf(settings, env),
    start,
    resume: null,
    isOnlyRun: true,
    newRun: (sender) => newRun(settings, 'network', [], process.cwd(), sender),
    via: ulid(start.startedAt),
    command: 'spanbridge',
    mayWait: false,
    console: false,
    say,
    onReady: () => {},
  })
  // Whoever forgets to finish is not kept from ending.
  bridge.unref()
  const spanProcessor = new BridgeSpanProcessor(bridge)
  let finished: Promise<Outcome> | null = null
  const end = async (status: EndStatus): Promise<Outcome> => {
    bridge.ref()
    await spanProcessor.shutdown()
    const outcome = await bridge.finish({ status, time: Date.now() }, null)
    await bridge.close()
    return outcome
  }
  const finish = (status: EndStatus = 'FINISHED'): Promise<Outcome> => (finished ??= end(status))
  process.once('beforeExit', () => void finish())
  return { run: start.run, spanProcessor, finish }
}

const sayOnStderr = (text: string): void => void process.stderr.write(`spanbridge: ${escapeControl(text)}\n`)
