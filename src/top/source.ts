import { statSync } from 'node:fs'
import { findJournal, noSuchRun } from '../cli/find-run.ts'
import { Refusal } from '../cli/open-run.ts'
import type { RunHistory } from '../store/history.ts'
import { Store, storeOf } from '../store/store.ts'
import type { RunSummary } from '../web/api.ts'

/** The runs that `top` shows: those of a state directory, or of them and of single files those that are named. */
export class Source {
  readonly #stores: readonly Store[]
  /** Null: all. */
  readonly #named: ReadonlySet<string> | null

  private constructor(stores: readonly Store[], named: ReadonlySet<string> | null) {
    this.#stores = stores
    this.#named = named
  }

  /** @throws Refusal when a word means no run */
  static open(words: readonly string[], stateDir: string, labels: Readonly<Record<string, string>>): Source {
    const directory = new Store({ stateDir, labels })
    directory.refresh()
    if (words.length === 0) return new Source([directory], null)
    const runs = directory.runs().toReversed()
    const stores = [directory]
    const named = new Set<string>()
    for (const word of words) {
      const journal = findJournal(word, runs)
      if (journal === null) throw new Refusal(noSuchRun(word, runs, stateDir))
      const known = runs.find((run) => isSame(run.journal, journal))
      if (known !== undefined) named.add(known.run)
      else {
        const file = storeOf(journal, { labels })
        file.refresh()
        for (const { error } of file.unreadable()) throw new Refusal(`${journal} cannot be read: ${error}`)
        for (const { run } of file.runs()) named.add(run)
        stores.push(file)
      }
    }
    return new Source(stores, named)
  }

  /** Looks at what has changed. @returns whether anything has */
  refresh(): boolean {
    const all = this.#stores.map((store) => store.refresh())
    return all.some(({ changed, gone }) => changed.length + gone.length > 0)
  }

  /** Newest first, those that a user has put away left out. */
  runs(): RunSummary[] {
    const all = this.#stores.flatMap((store) => store.runs())
    return all
      .filter(({ run, archived }) => (this.#named === null ? !archived : this.#named.has(run)))
      .sort((a, b) => b.startedAt - a.startedAt)
  }

  /** @throws UnknownRun, and what keeps the journal from being read */
  history(run: string): RunHistory {
    const store = this.#stores.find((each) => each.runs().some((known) => known.run === run))
    return (store ?? this.#stores[0]!).run(run)
  }

  close(): void {
    for (const store of this.#stores) store.close()
  }
}

const isSame = (a: string, b: string): boolean => {
  const [one, other] = [a, b].map((path) => statSync(path, { throwIfNoEntry: false, bigint: true }))
  return one !== undefined && one.ino === other?.ino && one.dev === other.dev
}
