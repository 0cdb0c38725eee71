const NARROW = /[ijlI.,:;'|!()[\] fr·]/
const WIDE = /[mwMW@%—…]/
const UPPER = /[\p{Lu}&]/u
const EAST_ASIAN = /[\u1100-\u11ff\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60]/

/** About how wide a text is in DejaVu Sans, in pixels: a renderer knows better, but none is there while a picture is laid out. */
export function textWidth(text: string, size: number): number {
  let width = 0
  for (const letter of text) {
    if (letter >= '0' && letter <= '9') width += 0.636
    else if (NARROW.test(letter)) width += 0.37
    else if (WIDE.test(letter)) width += 0.97
    else if (EAST_ASIAN.test(letter)) width += 1
    else if (UPPER.test(letter)) width += 0.69
    else width += 0.61
  }
  return width * size
}
