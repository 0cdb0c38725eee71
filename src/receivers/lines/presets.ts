import { hash } from 'node:crypto'
import { cellsOf, DELIMITERS, hasDecimalComma, isHeader, jsonOfCell, readCells, type Delimiter } from './csv.ts'
import { SB3_STEP, type Preset } from './preset-names.ts'
import { pythonDictToJson } from './python.ts'
import { TrainerState } from './trainer-state.ts'

/** The step of a table that has none of the others: Keras counts epochs. */
const EPOCH = 'epoch'

/** Objects that are looked at for whose they are. */
const LOOKED_AT = 100

const TABLES: ReadonlySet<Preset> = new Set(['sb3', 'lightning', 'keras', 'csv'])

/** How far a table, or the history in a document, has been read: its rows, and a hash of all that was in them. */
export interface TableState {
  rows: number
  chain: string
}

export interface PresetOptions {
  preset: Preset
  /** Fields that hold the step, those of a user first. */
  stepFields: readonly string[]
  say: (text: string) => void
}

/** Lines of other formats than JSON, as JSON: all streams of a run have this in common. */
export class Presets {
  readonly #options: PresetOptions
  readonly #said = new Set<string>()
  /** Entries of `trainer_state.json`. */
  readonly #seen = new Set<string>()

  constructor(options: PresetOptions) {
    this.#options = options
  }

  /** A stream of lines; `label` is what it is called. */
  stream(label: string | null): LineFormat {
    const { preset, stepFields } = this.#options
    return new LineFormat({ preset, stepFields, seen: this.#seen, say: (what, words) => this.#say(what, label, words) })
  }

  #say(what: string, label: string | null, words: string): void {
    if (!this.#said.has(what)) this.#options.say(`${label === null ? '' : `${label}: `}${words}`)
    this.#said.add(what)
  }
}

interface FormatOptions extends Omit<PresetOptions, 'say'> {
  seen: Set<string>
  say: (what: string, words: string) => void
}

/** A row whose last cell has lines in it: most of them, and most characters. */
const MAX_OPEN_LINES = 1000
const MAX_OPEN_LENGTH = 1 << 16

/** What some programs of Windows put before a text. */
export const BYTE_ORDER_MARK = '\u{FEFF}'

/** A column by its place, with its name as JSON. */
interface ColumnName {
  at: number
  json: string
}

/** Columns in the order of their names: one that joins them later changes nothing of the rows that were there before. */
const namesOf = (columns: readonly string[]): ColumnName[] =>
  columns.map((name, at) => ({ name, at, json: JSON.stringify(name) })).sort((a, b) => (a.name < b.name ? -1 : 1))

/** What an entry of a document is counted under. */
const ENTRY = namesOf(['entry'])

interface Table {
  columns: readonly string[]
  names: readonly ColumnName[]
  /** What stands before each cell in the event of a row; null: its column has no name. */
  keys: readonly (string | null)[]
  delimiter: Delimiter
  /** Where the step stands. */
  step: number
}

/** One stream of lines: what it is shows in its first line, or anywhere where a format was named. */
export class LineFormat {
  readonly #options: FormatOptions
  #table: Table | null = null
  #document: TrainerState | null = null
  /** The one line so far may be the first of a document. */
  #mayBeDocument = false
  /** No row has confirmed the header yet. */
  #isTableNew = false
  /** Nothing that could be a header comes any more. */
  #isDecided = false
  /** Lines with a JSON object, of which the first are looked at. */
  #objects = 0
  #rows = 0
  #chain = ''
  /** The beginning of a row whose last cell goes on. */
  #open: string[] = []

  constructor(options: FormatOptions) {
    this.#options = options
    this.#isDecided = options.preset === 'off' || options.preset === 'hf'
  }

  /** How far the table has been read; null: it is none. */
  get table(): TableState | null {
    return this.#table === null && this.#document === null && !this.#mayBeDocument
      ? null
      : { rows: this.#rows, chain: this.#chain }
  }

  /** The line as JSON; null: it is no event of this format; undefined: it is as it stands. */
  read(line: string): string | null | undefined {
    const { preset } = this.#options
    if (this.#open.length > 0 && this.#table !== null) return this.#goOn(line, this.#table)
    if (preset === 'off' || line === '') return undefined
    if (this.#document !== null) return this.#entry(line, this.#document)
    if (this.#mayBeDocument || TrainerState.mayBegin(line)) return this.#beginDocument(line)
    if (line.startsWith('{')) return this.#object(line)
    if (this.#table !== null) return this.#row(line, this.#table)
    if (this.#isDecided) return undefined
    // By its shape a table is recognised in the first line only.
    if (preset === 'auto') this.#isDecided = true
    return this.#header(line)
  }

  #beginDocument(line: string): null | undefined {
    const { preset, seen, say } = this.#options
    if (this.#isDecided && preset !== 'hf') return undefined
    const isSecond = this.#mayBeDocument
    this.#mayBeDocument = !isSecond && (preset === 'auto' || preset === 'hf')
    if (this.#mayBeDocument) return null
    this.#isDecided = true
    if (!isSecond || !TrainerState.goesOn(line)) return undefined
    say('document', "the state of Hugging Face's Trainer: its log_history is read, with its steps")
    this.#document = new TrainerState(seen)
    return null
  }

  #entry(line: string, document: TrainerState): string | null {
    const found = document.read(line)
    if (found === null) return null
    this.#rows += 1
    this.#chain = nextChain(this.#chain, ENTRY, [found.entry])
    const { stepFields } = this.#options
    if (!found.isNew) return null
    return stepFields.includes('step')
      ? found.entry
      : found.entry.replace('"step":', () => `${JSON.stringify(stepFields[0])}:`)
  }

  #object(line: string): string | undefined {
    const { preset, say } = this.#options
    if (preset === 'auto' && this.#table === null) this.#isDecided = true
    if (line.startsWith('{"') && this.#objects < LOOKED_AT) {
      this.#objects += 1
      if (line.includes(`"${SB3_STEP}"`)) say('sb3', `rows of Stable-Baselines3: the step is '${SB3_STEP}'`)
    }
    if (!line.startsWith("{'") || (preset !== 'auto' && preset !== 'hf')) return undefined
    const json = pythonDictToJson(withNumbers(line))
    if (json !== undefined)
      say(
        'python',
        `dicts that Python has printed are read; without a step in them, as Hugging Face's Trainer prints them, their numbers are counted as no_step. It writes trainer_state.json with steps: --file 'out/**/trainer_state.json'`,
      )
    return json
  }

  #header(line: string): null | undefined {
    const text = line.startsWith(BYTE_ORDER_MARK) ? line.slice(1) : line
    for (const delimiter of DELIMITERS) {
      const columns = cellsOf(text, delimiter)
      const table = columns !== null && isHeader(columns) ? this.#tableOf(columns, delimiter) : null
      if (table === null) continue
      this.#table = table
      this.#isTableNew = true
      return null
    }
    return undefined
  }

  #tableOf(columns: readonly string[], delimiter: Delimiter): Table | null {
    const { preset, stepFields } = this.#options
    const known =
      preset === 'sb3'
        ? [SB3_STEP]
        : preset === 'lightning'
          ? ['step']
          : preset === 'keras'
            ? [EPOCH]
            : [...stepFields, EPOCH]
    const name = known.find((field) => columns.includes(field))
    if (name === undefined) return null
    const step = columns.indexOf(name)
    const keyOf = (column: string, i: number): string =>
      `${JSON.stringify(i === step && !stepFields.includes(name) ? stepFields[0] : column)}:`
    const keys = columns.map((column, i) => (column === '' ? null : keyOf(column, i)))
    return { columns, names: namesOf(columns), keys, delimiter, step }
  }

  #row(line: string, table: Table): string | null | undefined {
    const read = readCells(line, table.delimiter)
    if (read?.isOpen === true && this.#mayGoOn(read.cells, table)) {
      this.#open = [line]
      return null
    }
    const cells = read === null || read.isOpen ? null : read.cells
    if (cells !== null && isHeader(cells)) {
      const header = this.#header(line)
      if (header === null) return null
    }
    const isRow = cells !== null && cells.length === table.columns.length
    if (this.#isTableNew && !(isRow && hasStep(cells, table))) {
      this.#table = TABLES.has(this.#options.preset) ? table : null
      return undefined
    }
    return isRow ? this.#take(cells, table) : undefined
  }

  /** Only what is a row so far may go on: a lone quote in other text would take the lines behind it away. */
  #mayGoOn(cells: readonly string[], table: Table): boolean {
    return (
      cells.length < table.columns.length && (table.step >= cells.length ? !this.#isTableNew : hasStep(cells, table))
    )
  }

  /** A line of a cell that has several. */
  #goOn(line: string, table: Table): string | null | undefined {
    const lines = [...this.#open, line]
    const text = lines.join('\n')
    const read = readCells(text, table.delimiter)
    this.#open = []
    if (read?.isOpen === true && !this.#isOther(line, table)) {
      const isLong = lines.length > MAX_OPEN_LINES || text.length > MAX_OPEN_LENGTH
      if (!isLong) this.#open = lines
      return isLong ? undefined : null
    }
    const isRow = read?.isOpen === false && read.cells.length === table.columns.length && hasStep(read.cells, table)
    return isRow ? this.#take(read.cells, table) : this.read(line)
  }

  /** A line that is whole by itself: the quote before it was a stray one. */
  #isOther(line: string, table: Table): boolean {
    if (line.startsWith('{"') && this.#options.preset === 'auto') return true
    const cells = line.includes('"') ? null : cellsOf(line, table.delimiter)
    return cells !== null && cells.length === table.columns.length && hasStep(cells, table)
  }

  #take(cells: readonly string[], table: Table): string {
    const { columns, delimiter, step } = table
    const { say } = this.#options
    if (this.#isTableNew) {
      const kind =
        delimiter === ',' ? 'a CSV table' : `a table with ${delimiter === ';' ? "';'" : 'a tab'} between its cells`
      say('table', `${kind}: the step is the column '${columns[step]!}'`)
    }
    this.#isTableNew = false
    const odd = delimiter === ',' ? undefined : cells.find(hasDecimalComma)
    if (odd !== undefined)
      say(
        'comma',
        `expected numbers with a point, got '${odd}': cells like it are texts; have them written with a point`,
      )
    this.#rows += 1
    // A table that is written anew with more columns holds the same in its old rows.
    this.#chain = nextChain(this.#chain, table.names, cells)
    return jsonOf(table, cells)
  }
}

/** Hugging Face's Trainer 5 prints its numbers as texts: `{'loss': '0.5', 'epoch': '1'}`. */
const ALL_TEXTS = /^\{(?:'[\w/.-]+': '[^'\\]*'(?:, |(?=\}$)))+\}$/
const withNumbers = (line: string): string =>
  ALL_TEXTS.test(line) && line.includes("'epoch': '")
    ? line.replaceAll(/: '(-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|inf)|nan)'/g, ': $1')
    : line

const hasStep = (cells: readonly string[], { step }: Table): boolean =>
  Number.isInteger(Number(cells[step] || Number.NaN))

function jsonOf({ keys }: Table, cells: readonly string[]): string {
  const members: string[] = []
  for (const [i, cell] of cells.entries()) {
    const json = keys[i] == null ? undefined : jsonOfCell(cell)
    if (json !== undefined) members.push(keys[i]! + json)
  }
  return `{${members.join(',')}}`
}

/** A hash of all rows so far: of their cells that hold something, by the names of their columns. */
function nextChain(chain: string, names: readonly ColumnName[], cells: readonly string[]): string {
  let row = ''
  for (const { at, json } of names) {
    const cell = cells[at] ?? ''
    if (cell !== '') row += `${row === '' ? '' : ','}[${json},${JSON.stringify(cell)}]`
  }
  // In one go, without an object that is fed: with it a row takes 1.3 times as long.
  return hash('sha256', `${chain}[${row}]`, 'base64url').slice(0, 22)
}
