import { setImmediate } from 'node:timers/promises'
import type { Context } from './app.ts'
import type { PageOf, ServedPage } from './page.ts'

/** A page that is opened while something else is under way, which never waits for it. */
export class LatePage {
  /** Null: there is none, or its time was over before. */
  readonly opened: Promise<ServedPage | null>
  #page: ServedPage | null = null
  #isOver = false

  constructor(context: Context, what: PageOf) {
    this.opened = this.#open(context, what)
  }

  close(): void {
    this.#isOver = true
    this.#page?.close()
  }

  async #open(context: Context, what: PageOf): Promise<ServedPage | null> {
    if (context.loaded.settings['web.listen'] === null) return null
    await setImmediate() // what has come so far is read
    try {
      const { openPage } = await import('./page.ts')
      this.#page = await openPage(context, what, () => this.#isOver)
    } catch (error) {
      context.voice.say(`page: a fault of ours, there is none: ${(error as Error).stack ?? String(error)}`)
    }
    this.#page?.unref()
    return this.#page
  }
}
