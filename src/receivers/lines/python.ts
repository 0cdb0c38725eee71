/** Deepest dict or list that is read. */
const MAX_DEPTH = 64

/** A string, a number, a word, or a number of numpy's as it prints itself. */
const STRING = /'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"/y
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])/y
const NUMPY = /np\.(?:float|int|uint)\d+\(([^()]{1,40})\)/y
const WORD = /-?[A-Za-z]+(?![\w.(])/y
const BLANK = /\s*/y

const WORDS: Readonly<Record<string, string>> = {
  True: 'true',
  False: 'false',
  None: 'null',
  nan: 'NaN',
  inf: 'Infinity',
  '-inf': '-Infinity',
}

/** A dict as Python prints it, as JSON (with Python's tokens for what is no finite number); undefined: it is none. */
export function pythonDictToJson(text: string): string | undefined {
  try {
    const reader = new PythonReader(text)
    const json = reader.value(0)
    return json.startsWith('{') && reader.isAtEnd ? json : undefined
  } catch (error) {
    if (error === NO_LITERAL) return undefined
    throw error
  }
}

const NO_LITERAL = new Error('no literal of Python')

/** Reads literals one after the other; each byte is looked at once. */
class PythonReader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  get isAtEnd(): boolean {
    this.#match(BLANK)
    return this.#at === this.#text.length
  }

  value(depth: number): string {
    if (depth > MAX_DEPTH) throw NO_LITERAL
    this.#match(BLANK)
    const open = this.#text[this.#at]
    if (open === '{') return `{${this.#items('}', () => `${this.#key()}:${this.value(depth + 1)}`)}}`
    if (open === '[') return `[${this.#items(']', () => this.value(depth + 1))}]`
    if (open === '(') return `[${this.#items(')', () => this.value(depth + 1))}]`
    return this.#string() ?? this.#scalar()
  }

  /** What stands between brackets, with commas between; one may stand behind the last. */
  #items(close: string, item: () => string): string {
    const items: string[] = []
    this.#at += 1
    while (!this.#takes(close)) {
      if (items.length > 0 && !this.#takes(',')) throw NO_LITERAL
      if (items.length > 0 && this.#takes(close)) break
      items.push(item())
    }
    return items.join(',')
  }

  #key(): string {
    this.#match(BLANK)
    const key = this.#string()
    if (key === null || !this.#takes(':')) throw NO_LITERAL
    return key
  }

  #string(): string | null {
    const found = this.#match(STRING)
    return found === null ? null : JSON.stringify(unescape(found[0].slice(1, -1)))
  }

  #scalar(): string {
    const number = this.#match(NUMBER)?.[0]
    if (number !== undefined) return number
    const text = this.#match(NUMPY)?.[1] ?? this.#match(WORD)?.[0]
    if (text === undefined) throw NO_LITERAL
    if (Object.hasOwn(WORDS, text)) return WORDS[text]!
    if (text.trim() !== '' && Number.isFinite(Number(text))) return String(Number(text))
    throw NO_LITERAL
  }

  #takes(character: string): boolean {
    this.#match(BLANK)
    if (this.#text[this.#at] !== character) return false
    this.#at += 1
    return true
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)
    if (found !== null) this.#at += found[0].length
    return found
  }
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r' }

const unescape = (text: string): string =>
  text.replace(
    /\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|(.))/gs,
    (_, two?: string, four?: string, eight?: string, one?: string) => {
      if (one !== undefined) return ESCAPES[one] ?? one
      const code = Number.parseInt((two ?? four ?? eight)!, 16)
      return code > 0x10_ff_ff ? '\uFFFD' : String.fromCodePoint(code)
    },
  )
