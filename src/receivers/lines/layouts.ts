import { MESSAGE, NO_DATE, type Leaf, type Template } from './template.ts'

/** Nodes that are kept, and bytes in them; beyond it all are forgotten, for a log that never repeats itself must not fill the memory. */
const MAX_NODES = 65_536
const MAX_BYTES = 4 << 20
/** Bytes of a layout that is kept at all. */
const LONGEST = 1 << 16

/** Alternatives behind a value that are looked through one by one. */
const FEW = 4
/** The most of them that begin with the same name: more would take longer to look through than the line to parse. */
const MOST_ALIKE = 64

const QUOTE = 34
const COLON = 58
const MINUS = 45
const NEWLINE = 10

/**
 * Some bytes that are the same in all lines of a layout, and the value behind them. Layouts that begin alike share
 * their first nodes:
 *
 *     {"time":"  TIME  ","fields":{"step":  NUMBER  ,"loss":  NUMBER  }}⏎
 *                                                   ,"reward":  NUMBER  }}⏎
 */
export class Node {
  readonly literal: Uint8Array
  /** The literal in words, the last of which may overlap the one before; none when it is shorter than one. */
  readonly #words: Int32Array
  /** Kind of the value behind the literal. */
  readonly kind: number
  /** Behind the literal the line has ended. */
  leaf: Leaf | null = null
  /** What may follow. The one that followed last is asked first. */
  readonly #children: Node[] = []
  #last: Node | null = null
  /** All of them by the name that they begin with, when they are many. */
  #byName: Map<number, Node[]> | null = null

  constructor(literal: Uint8Array, kind: number) {
    this.literal = literal
    this.kind = kind
    const view = viewOf(literal)
    const count = literal.length < 4 ? 0 : Math.ceil(literal.length / 4)
    this.#words = Int32Array.from({ length: count }, (_, i) => view.getInt32(Math.min(4 * i, literal.length - 4), true))
  }

  /** What follows at `at`, or null. */
  next(bytes: DataView, at: number): Node | null {
    const last = this.#last
    if (last !== null && last.#fits(bytes, at)) return last
    const candidates = this.#byName === null ? this.#children : this.#byName.get(hashOfName(bytes, at))
    if (candidates === undefined) return null
    for (const node of candidates) {
      if (!node.#fits(bytes, at)) continue
      this.#last = node
      return node
    }
    return null
  }

  /** Compares four bytes at a time. */
  #fits(bytes: DataView, at: number): boolean {
    const words = this.#words
    const end = at + this.literal.length
    if (end > bytes.byteLength) return false
    if (words.length === 0) {
      for (let i = 0; at + i < end; i += 1) if (bytes.getUint8(at + i) !== this.literal[i]) return false
    } else {
      const last = words.length - 1
      for (let i = 0; i < last; i += 1) if (bytes.getInt32(at + 4 * i, true) !== words[i]) return false
      if (bytes.getInt32(end - 4, true) !== words[last]) return false
    }
    return this.leaf !== null || isOfKind(this.kind, bytes.getUint8(end))
  }

  /** The child with this literal and kind. */
  child(literal: Uint8Array, kind: number): Node | undefined {
    const alike = this.#byName === null ? this.#children : this.#byName.get(hashOfName(viewOf(literal), 0))
    return alike?.find((node) => node.kind === kind && Buffer.compare(node.literal, literal) === 0)
  }

  /** @returns whether there was room for it */
  add(node: Node): boolean {
    if (this.#byName !== null) return addAlike(this.#byName, node)
    this.#children.push(node)
    if (this.#children.length <= FEW) return true
    this.#byName = new Map()
    for (const each of this.#children) addAlike(this.#byName, each)
    return true
  }
}

function addAlike(byName: Map<number, Node[]>, node: Node): boolean {
  const hash = hashOfName(viewOf(node.literal), 0)
  const alike = byName.get(hash)
  if (alike === undefined) byName.set(hash, [node])
  else if (alike.length < MOST_ALIKE) alike.push(node)
  else return false
  return true
}

/** Whether a value that begins with `byte` may be one of a kind. */
function isOfKind(kind: number, byte: number): boolean {
  if (kind <= NO_DATE) return byte === MINUS || (byte >= 48 && byte <= 57)
  return kind <= MESSAGE ? byte === QUOTE : byte >= 97
}

export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length)

/** A hash of what stands there up to the end of a name, or of the line. */
function hashOfName(bytes: DataView, at: number): number {
  let hash = 0
  for (let i = at; i < bytes.byteLength; i += 1) {
    const byte = bytes.getUint8(i)
    if (byte === COLON || byte === NEWLINE) break
    hash = (Math.imul(hash, 31) + byte) | 0
  }
  return hash
}

/** All layouts that were learned. */
export class LayoutTree {
  root = new Node(new Uint8Array(), 0)
  #nodes = 0
  #bytes = 0

  /** Adds a layout, unless it is too long or too many begin like it. */
  add({ literals, kinds, leaf }: Template): void {
    if (literals.reduce((sum, { length }) => sum + length, 0) > LONGEST) return
    if (this.#nodes > MAX_NODES || this.#bytes > MAX_BYTES) {
      this.root = new Node(new Uint8Array(), 0)
      this.#nodes = 0
      this.#bytes = 0
    }
    let node = this.root
    for (const [place, literal] of literals.entries()) {
      const isEnd = place === kinds.length
      const kind = isEnd ? -1 : kinds[place]!
      let child = node.child(literal, kind)
      if (child === undefined) {
        child = new Node(literal, kind)
        if (isEnd) child.leaf = leaf
        if (!node.add(child)) return
        this.#nodes += 1
        this.#bytes += literal.length
      }
      node = child
    }
  }
}
