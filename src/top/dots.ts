/** The bit of each dot in a braille character, by its place: two across, four down. */
const BITS = [
  [0x01, 0x08],
  [0x02, 0x10],
  [0x04, 0x20],
  [0x40, 0x80],
] as const

const BLANK = 0x2800

/** Dots over some cells: two across and four down in each. A cell has the highest rank of its dots. */
export class Dots {
  /** In dots. */
  readonly width: number
  readonly height: number
  readonly #columns: number
  readonly #bits: Uint8Array
  readonly #ranks: Uint8Array

  constructor(columns: number, rows: number) {
    this.width = columns * 2
    this.height = rows * 4
    this.#columns = columns
    this.#bits = new Uint8Array(columns * rows)
    this.#ranks = new Uint8Array(columns * rows)
  }

  set(x: number, y: number, rank: number): void {
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return
    const cell = (y >> 2) * this.#columns + (x >> 1)
    this.#bits[cell]! |= BITS[y & 3]![x & 1]!
    if (rank > this.#ranks[cell]!) this.#ranks[cell] = rank
  }

  /** A straight line, both ends included (Bresenham). `rankOf` says the rank of a dot by its row. */
  line(from: readonly [number, number], to: readonly [number, number], rankOf: (y: number) => number): void {
    let [x, y] = from
    const [x1, y1] = to
    const dx = Math.abs(x1 - x)
    const dy = -Math.abs(y1 - y)
    let error = dx + dy
    for (;;) {
      this.set(x, y, rankOf(y))
      if (x === x1 && y === y1) return
      const twice = 2 * error
      if (twice >= dy) {
        error += dy
        x += Math.sign(x1 - x)
      }
      if (twice <= dx) {
        error += dx
        y += Math.sign(y1 - y)
      }
    }
  }

  /** The character of a cell and its rank; null: it has no dot. */
  cell(column: number, row: number): { text: string; rank: number } | null {
    const cell = row * this.#columns + column
    const bits = this.#bits[cell]!
    return bits === 0 ? null : { text: String.fromCharCode(BLANK | bits), rank: this.#ranks[cell]! }
  }
}
