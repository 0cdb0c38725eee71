/** A flag that belongs to some verbs only, and is no setting. */
export interface VerbFlag {
  verbs: readonly string[]
  /** The value as `--help` shows it; null: a switch without one. */
  shape: string | null
  help: string
}

/** Every such flag, in the order of `--help`. */
export const VERB_FLAGS: Readonly<Record<string, VerbFlag>> = {
  '--out': {
    verbs: ['plot', 'export'],
    shape: 'FILE',
    help: 'The file that is written; under export else standard output.',
  },
  '--run': {
    verbs: ['plot'],
    shape: 'RUN',
    help: 'A run beside the first one, each as lines of their own; may be repeated.',
  },
  '--axis': {
    verbs: ['plot'],
    shape: 'step|time|relative',
    help: 'What lies across; relative: since the first point of each run. Default: step.',
  },
  '--smooth': {
    verbs: ['plot'],
    shape: '0..1',
    help: 'Exponential moving average of this strength over all points, with the raw line faintly behind. Default: 0.',
  },
  '--log': { verbs: ['plot'], shape: null, help: 'A logarithmic axis of values.' },
  '--from': {
    verbs: ['plot'],
    shape: 'PLACE',
    help: 'Where the axis begins: a step, a date or UTC milliseconds, or (relative) a duration such as 90s.',
  },
  '--to': { verbs: ['plot'], shape: 'PLACE', help: 'Where the axis ends, included.' },
  '--split': { verbs: ['plot'], shape: null, help: 'A chart of its own for each key, below each other.' },
  '--width': { verbs: ['plot'], shape: 'PIXELS', help: 'Width of the picture. Default: 1200.' },
  '--height': {
    verbs: ['plot'],
    shape: 'PIXELS',
    help: 'Height of the picture. Default: 600, with --split 360 for each chart.',
  },
  '--theme': { verbs: ['plot'], shape: 'light|dark', help: 'Colours of the picture. Default: light.' },
  '--format': {
    verbs: ['export'],
    shape: 'csv|jsonl|parquet',
    help: 'Else what the name behind --out ends with, else csv.',
  },
  '--key': {
    verbs: ['export'],
    shape: 'GLOB',
    help: 'Only metrics whose key matches, such as trainer/*; may be repeated.',
  },
  '--wide': {
    verbs: ['export'],
    shape: null,
    help: 'With csv: a row for each step and a column for each key, with the last value at that step.',
  },
  '--what': {
    verbs: ['export'],
    shape: 'points|params|tags|events|spans',
    help: 'Which rows of the run. Default: points.',
  },
}

export const flagsOf = (verb: string): string[] =>
  Object.keys(VERB_FLAGS).filter((flag) => VERB_FLAGS[flag]!.verbs.includes(verb))
