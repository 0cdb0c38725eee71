import { startModule } from '../harness/processes.ts'
import type { SpansSent, SpansToSend } from './send-spans.ts'
import type { SinkAccount } from './sink.ts'

/** A sink in a process of its own. */
export interface Sink {
  readonly url: string
  account(): Promise<SinkAccount>
  clear(): Promise<unknown>
  /** Nobody listens any more; `up`: somebody does, at the same port. */
  down(): Promise<unknown>
  up(): Promise<unknown>
  stop(): void
}

export async function startSink(answerAfterMs = 0): Promise<Sink> {
  const { hello, ask, stop } = await startModule('load/sink.ts', [String(answerAfterMs)])
  return {
    url: (hello as { url: string }).url,
    account: async () => (await ask({ is: 'account' })) as SinkAccount,
    clear: () => ask({ is: 'clear' }),
    down: () => ask({ is: 'down' }),
    up: () => ask({ is: 'up' }),
    stop,
  }
}

/** Somebody who sends spans, in a process of its own. */
export interface Sender {
  send(what: SpansToSend): Promise<SpansSent>
  stop(): void
}

export async function startSender(): Promise<Sender> {
  const { ask, stop } = await startModule('load/send-spans.ts', [])
  return {
    send: async (what) => {
      const answer = (await ask(what)) as SpansSent | { error: string }
      if ('error' in answer) throw new Error(`the sender of spans: ${answer.error}`)
      return answer
    },
    stop,
  }
}
