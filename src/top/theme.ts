/** What a cell means; how that looks depends on the terminal. */
export type Style =
  | 'plain'
  | 'strong'
  | 'muted'
  | 'line'
  | 'raw'
  | 'good'
  | 'warn'
  | 'bad'
  | 'selected'
  | 'bar'
  | 'barGood'
  | 'barWarn'
  | 'barBad'

/** How many colours a terminal has: none also where `NO_COLOR` is set. */
export type Depth = 'none' | '16' | '256'

const SGR: Readonly<Record<Depth, Readonly<Record<Style, string>>>> = {
  none: {
    plain: '',
    strong: '1',
    muted: '2',
    line: '',
    raw: '2',
    good: '',
    warn: '1',
    bad: '1',
    selected: '7',
    bar: '7',
    barGood: '7',
    barWarn: '7;1',
    barBad: '7;1',
  },
  16: {
    plain: '',
    strong: '1',
    muted: '90',
    line: '36',
    raw: '90',
    good: '32',
    warn: '33',
    bad: '91',
    selected: '30;46',
    bar: '37;100',
    barGood: '92;100',
    barWarn: '93;100',
    barBad: '1;97;41',
  },
  256: {
    plain: '',
    strong: '1',
    muted: '38;5;244',
    line: '38;5;75',
    raw: '38;5;240',
    good: '38;5;78',
    warn: '38;5;220',
    bad: '38;5;203',
    selected: '1;38;5;16;48;5;75',
    bar: '38;5;252;48;5;236',
    barGood: '38;5;78;48;5;236',
    barWarn: '38;5;220;48;5;236',
    barBad: '1;38;5;231;48;5;160',
  },
}

/** The escape sequence that begins a style, from whatever was before. */
export function sequenceOf(style: Style, depth: Depth): string {
  const sgr = SGR[depth][style]
  return sgr === '' ? '\x1b[0m' : `\x1b[0;${sgr}m`
}

/** What the environment says of the terminal. */
export function depthOf(env: Readonly<Record<string, string | undefined>>): Depth {
  if ((env['NO_COLOR'] ?? '') !== '') return 'none'
  return /256color|direct|kitty|alacritty/.test(env['TERM'] ?? '') || (env['COLORTERM'] ?? '') !== '' ? '256' : '16'
}
