import { REFRESH_MS, type Session } from './session.ts'
import type { Terminal } from './terminal.ts'

/** Signals that end a program in a terminal, and the exit code for each. */
const ENDING = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129, SIGQUIT: 131 } as const

/** Shows a session in a terminal until the user or a signal ends it. @returns the exit code */
export async function runTop(session: Session, terminal: Terminal): Promise<number> {
  const ended = Promise.withResolvers<number>()
  let isStale = true
  const draw = (): void => {
    isStale = terminal.isBusy
    const { width, height } = terminal.size
    if (!isStale) terminal.show(session.frame(width, height))
  }
  terminal.onResize = draw
  terminal.onEnd = () => ended.resolve(ENDING.SIGHUP)
  terminal.onKey = (key) => {
    const { width, height } = terminal.size
    const wish = session.press(key, width, height)
    if (wish === 'quit') ended.resolve(0)
    else if (wish === 'suspend') terminal.suspend()
    else draw()
  }
  const handlers = Object.entries(ENDING).map(([signal, code]) => [signal, () => ended.resolve(code)] as const)
  for (const [signal, end] of handlers) process.on(signal, end)
  terminal.enter()
  draw()
  const timer = setInterval(() => {
    if (session.refresh() || isStale) draw()
  }, REFRESH_MS)
  try {
    return await ended.promise
  } finally {
    clearInterval(timer)
    terminal.close()
    for (const [signal, end] of handlers) process.removeListener(signal, end)
  }
}
