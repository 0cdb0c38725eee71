import type { Verb } from './app.ts'

/** A verb of the command line. `main.ts` reads this table before anything else: it imports nothing. */
interface VerbEntry {
  help: string
  /** Words may stand behind it, be it a command or runs. */
  takesWords: boolean
  load: () => Promise<Verb>
}

/** Loaded when called: a trainer in the pipe does not wait for what its verb does not need. */
export const VERBS: Readonly<Record<string, VerbEntry>> = {
  run: {
    takesWords: false,
    help: 'Bridge standard input (the default): trainer | spanbridge; without one, receive OTLP',
    load: async () => (await import('./run.ts')).run,
  },
  exec: {
    takesWords: true,
    help: 'Run a command and bridge its output: spanbridge exec -- python train.py',
    load: async () => (await import('./exec.ts')).exec,
  },
  view: {
    takesWords: true,
    help: 'Show the runs on a page in the browser: spanbridge view [DIRECTORY, JOURNAL or LOG ...]',
    load: async () => (await import('./view.ts')).view,
  },
  status: {
    takesWords: false,
    help: 'Show what was received, kept and delivered, per run',
    load: async () => (await import('./status.ts')).status,
  },
  sync: {
    takesWords: true,
    help: 'Deliver what is left in journals: spanbridge sync [RUN or FILE ...]; with --rejected also what was refused',
    load: async () => (await import('./sync.ts')).sync,
  },
  doctor: {
    takesWords: false,
    help: 'Look at every hop from here to MLflow, and say which one is broken and how to mend it',
    load: async () => (await import('./doctor.ts')).doctor,
  },
  audit: {
    takesWords: true,
    help: 'Read trackers back and compare them with the journals, number by number: spanbridge audit [RUN or FILE ...]',
    load: async () => (await import('./audit.ts')).audit,
  },
  top: {
    takesWords: true,
    help: 'Charts, last values and the state of delivery in the terminal, live: spanbridge top [RUN or FILE ...]',
    load: async () => (await import('./top.ts')).top,
  },
  plot: {
    takesWords: true,
    help: 'Draw metrics of a run into a picture: spanbridge plot RUN KEY [KEY ...] --out chart.png (or .svg)',
    load: async () => (await import('./plot.ts')).plot,
  },
  export: {
    takesWords: true,
    help: 'Write a run as a table: spanbridge export RUN --format csv|jsonl|parquet [--out FILE]',
    load: async () => (await import('./export.ts')).exportRun,
  },
  check: {
    takesWords: false,
    help: 'Show the settings in force and where each comes from; or hold a log against a contract: check --contract rl < log.jsonl',
    load: async () => (await import('./check.ts')).check,
  },
}

/** The verb whose standard input is a trainer's; no other one reads it as it comes. */
export const READS_TRAINER = 'run'
