import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isFields } from '../layer/event.ts'
import type { RunChange } from '../web/api.ts'

/** What a user says of a run on the page: nothing of it is in the journal, which belongs to the process that writes it. */
export interface Annotation {
  title: string | null
  archived: boolean
}

const NONE: Annotation = { title: null, archived: false }

/** Titles and archived runs of a state directory, in `page.json`. What cannot be read there counts as nothing. */
export class Annotations {
  readonly #path: string

  constructor(stateDir: string) {
    this.#path = join(stateDir, 'page.json')
  }

  read(): Map<string, Annotation> {
    try {
      const parsed: unknown = JSON.parse(readFileSync(this.#path, 'utf8'))
      const runs = isFields(parsed) && isFields(parsed['runs']) ? parsed['runs'] : {}
      return new Map(Object.entries(runs).map(([run, value]) => [run, annotationOf(value)]))
    } catch {
      return new Map()
    }
  }

  /** Others that share the directory may have written meanwhile: it is read anew. @throws when it cannot be written */
  change(run: string, { title, archived }: RunChange): void {
    const all = this.read()
    const known = all.get(run) ?? NONE
    const changed = { title: title === undefined ? known.title : title, archived: archived ?? known.archived }
    if (changed.title === null && !changed.archived) all.delete(run)
    else all.set(run, changed)
    this.#write(all)
  }

  forget(run: string): void {
    const all = this.read()
    if (all.delete(run)) this.#write(all)
  }

  #write(all: ReadonlyMap<string, Annotation>): void {
    const draft = `${this.#path}.${process.pid}`
    try {
      writeFileSync(draft, `${JSON.stringify({ runs: Object.fromEntries(all) }, null, 1)}\n`, { mode: 0o600 })
      renameSync(draft, this.#path)
    } catch (error) {
      rmSync(draft, { force: true }) // on a full disk half of it may stand there
      throw error
    }
  }
}

const annotationOf = (value: unknown): Annotation =>
  isFields(value)
    ? { title: typeof value['title'] === 'string' ? value['title'] : null, archived: value['archived'] === true }
    : NONE
