import type { Context } from './app.ts'
import type { PageOf, ServedPage } from './page.ts'

/** A page that is opened while something else is under way, which never waits for it. */
export class LatePage {
  /** Null: there is none, or its time was over before. */
  readonly opened: Promise<ServedPage | null>
  #page: ServedPage | null = null
  #isOver = false

  /** `after`: what has to be done before time is spent on it. */
  constructor(context: Context, what: PageOf, after: Promise<void>) {
    this.opened = this.#open(context, what, after)
  }

  async close(): Promise<void> {
    this.#isOver = true
    await this.#page?.close()
  }

  async #open(context: Context, what: PageOf, after: Promise<void>): Promise<ServedPage | null> {
    if (context.loaded.settings['web.listen'] === null) return null
    await after
    if (this.#isOver) return null
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
