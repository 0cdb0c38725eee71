/** How many spans (or log records) a request holds: the same three levels in both, and nothing below them is looked at. */
export function countOf(body: Uint8Array): number {
  return countAt(body, 0, body.length, 0)
}

/** The field that holds the next level: ResourceSpans, then ScopeSpans, then Span; those of logs have the same numbers. */
const NEXT = [1, 2, 2]

function countAt(body: Uint8Array, from: number, to: number, level: number): number {
  let count = 0
  let at = from
  const varint = (): number => {
    let value = 0
    for (let factor = 1; ; factor *= 128) {
      const byte = body[at++]!
      value += (byte & 127) * factor
      if (byte < 128) return value
    }
  }
  while (at < to) {
    const tag = varint()
    const wireType = tag & 7
    if (wireType === 2) {
      const end = varint() + at
      if (tag >> 3 === NEXT[level]) count += level === 2 ? 1 : countAt(body, at, end, level + 1)
      at = end
    } else if (wireType === 0) varint()
    else if (wireType === 1) at += 8
    else if (wireType === 5) at += 4
    else throw new Error(`wire type ${wireType} in OTLP`)
  }
  return count
}
