import type { SpanColumns } from './columns.ts'
import { templateOf, type ReadAs, type SpanTemplate } from './span-template.ts'

/** Bytes of the largest span that becomes a template, and of the smallest. */
const LARGEST = 4096
const SMALLEST = 8
/** Most templates at a time, and of spans of one size. */
const MOST = 512
const MOST_OF_A_SIZE = 8
/** To make a template takes as long as to read so many spans; no more than so many are made without any gain. */
const COST = 64
const BURST = 64

/** The templates of spans that have come, by their size. */
export class SpanTemplates {
  readonly #isAsked: (name: string) => boolean
  readonly #bySize = new Map<number, SpanTemplate[]>()
  #count = 0
  #last: SpanTemplate | null = null
  /** What may be spent on new ones. */
  #budget = BURST * COST

  /** `isAsked`: whether the text of an attribute of that name is ever read. */
  constructor(isAsked: (name: string) => boolean = () => true) {
    this.#isAsked = isAsked
  }

  /** The template of the span of `size` bytes at `from`, if there is one. */
  find(view: DataView, from: number, size: number, integerText: boolean): SpanTemplate | null {
    const last = this.#last
    if (last !== null && last.size === size && last.integerText === integerText && last.isIn(view, from)) return last
    const templates = this.#bySize.get(size)
    if (templates === undefined) return null
    for (const template of templates) {
      if (template === last || template.integerText !== integerText || !template.isIn(view, from)) continue
      this.#last = template
      return template
    }
    return null
  }

  /** A span of `size` bytes has been read that had no template: makes one of it, if it can have one. */
  learn(columns: SpanColumns, span: number, read: Omit<ReadAs, 'isAsked'>): void {
    const size = columns.to[span]! - columns.from[span]!
    if (this.#budget < COST || size > LARGEST || size < SMALLEST) {
      this.#budget += 1
      return
    }
    this.#budget -= COST
    const template = templateOf(columns, span, { ...read, isAsked: this.#isAsked })
    if (template === null) return
    if (this.#count === MOST) {
      this.#bySize.clear()
      this.#count = 0
    }
    const others = this.#bySize.get(size) ?? []
    if (others.length === MOST_OF_A_SIZE) others.pop()
    else this.#count += 1
    this.#bySize.set(size, [template, ...others])
    this.#last = template
  }
}
