/** Entries of which it is remembered that they have been taken. */
const MAX_SEEN = 1_000_000

/** How the file of Hugging Face's Trainer begins, behind its opening brace: names are sorted. */
const FIRST_FIELD = /^ {2}"best_(?:global_step|metric)"/
const HISTORY = '  "log_history": ['
const END_OF_HISTORY = /^ {2}\],?$/
const BEGIN = '    {'
const END = /^ {4}\},?$/

/** What is read of one `trainer_state.json`, line by line, as `json.dumps(..., indent=2, sort_keys=True)` writes them. */
export class TrainerState {
  readonly #seen: Set<string>
  #isInHistory = false
  #entry: string[] | null = null

  /** `seen`: entries of other files; each checkpoint holds those of the ones before. */
  constructor(seen: Set<string>) {
    this.#seen = seen
  }

  /** Whether a file may begin so, and whether it does when its second line is known. */
  static mayBegin(line: string): boolean {
    return line === '{'
  }

  static goesOn(line: string): boolean {
    return FIRST_FIELD.test(line)
  }

  /** The entry of the history that a line ends, as JSON, if it is new; else null. */
  read(line: string): { entry: string; isNew: boolean } | null {
    if (line === HISTORY) this.#isInHistory = true
    else if (END_OF_HISTORY.test(line)) this.#isInHistory = false
    else if (this.#isInHistory && line === BEGIN) this.#entry = []
    else if (this.#entry !== null && END.test(line)) return this.#end(this.#entry)
    else this.#entry?.push(line.trim())
    return null
  }

  #end(lines: readonly string[]): { entry: string; isNew: boolean } {
    const entry = `{${lines.join('')}}`
    this.#entry = null
    const isNew = !this.#seen.has(entry)
    if (isNew && this.#seen.size < MAX_SEEN) this.#seen.add(entry)
    return { entry, isNew }
  }
}
