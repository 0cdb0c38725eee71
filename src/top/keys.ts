/** Sequences of terminals (xterm, VT220, rxvt, the Linux console) and what they mean. */
const SEQUENCES: Readonly<Record<string, string>> = {
  '[A': 'up',
  '[B': 'down',
  '[C': 'right',
  '[D': 'left',
  OA: 'up',
  OB: 'down',
  OC: 'right',
  OD: 'left',
  '[H': 'home',
  '[F': 'end',
  OH: 'home',
  OF: 'end',
  '[1~': 'home',
  '[4~': 'end',
  '[7~': 'home',
  '[8~': 'end',
  '[5~': 'pageup',
  '[6~': 'pagedown',
  '[Z': 'backtab',
}

const CONTROLS: Readonly<Record<string, string>> = {
  '\r': 'enter',
  '\n': 'enter',
  '\t': 'tab',
  '\x1b': 'escape',
  '\x7f': 'backspace',
  '\b': 'backspace',
  '\x03': 'ctrl-c',
  '\x04': 'ctrl-d',
  '\x0c': 'ctrl-l',
  '\x15': 'ctrl-u',
  '\x1a': 'ctrl-z',
}

// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const KEY = /\x1b(\[[0-9;?]*[ -/]*[@-~]|O[A-Za-z])|\x1b|[\s\S]/gu

/** The keys in what a terminal has sent: their names, or the letter itself. What is unknown is left out. */
export function keysIn(text: string): string[] {
  return Array.from(text.matchAll(KEY), ([whole, sequence]) => {
    if (sequence !== undefined) return SEQUENCES[sequence] ?? ''
    return CONTROLS[whole] ?? (whole < ' ' ? '' : whole)
  }).filter((key) => key !== '')
}
