/** Why something became no point, and what to do; the same as docs/counters.md, in a reader's words. */
export interface Reason {
  text: string
  cure: string
}

const REASONS: Readonly<Record<string, Reason>> = {
  no_step: {
    text: 'no step: neither the line nor a span around it says which step it belongs to',
    cure: 'Log a field named step, or name yours with --steps-fields.',
  },
  step_out_of_range: {
    text: 'the step is too large to be told from its neighbours (2^53 or more)',
    cure: 'Log a smaller step.',
  },
  config: { text: 'settings of the run, kept as params', cure: 'Nothing to do: they are on the Params page.' },
  key_too_long: { text: 'the name is longer than 1,024 bytes', cure: 'Shorten the field’s name.' },
  series_cap: {
    text: 'the run has 10,000 metrics already',
    cure: 'A value that changes, such as an id, is part of a field’s name: log it as a field of its own.',
  },
  too_deep: { text: 'more than 64 objects inside each other', cure: 'Log a flatter event.' },
  invalid_key: { text: 'the name is not valid UTF-8', cure: 'Fix what writes the line.' },
  filtered: { text: 'left out by Spanbridge’s filter', cure: 'Change --filter, or RUST_LOG.' },
  duplicate: { text: 'came twice', cure: 'Nothing to do.' },
  channel_full: {
    text: 'more points waited for the disk than fit into memory',
    cure: 'Find out why the disk is slow, raise --channel-capacity, or set --channel-when-full block.',
  },
  journal_full: {
    text: 'there was no folder to write to, and the 64 MB kept in memory were full',
    cure: 'Set --state-dir to a folder that can be written.',
  },
  text: {
    text: 'not JSON; it passes through untouched',
    cure: 'If it holds metrics, log them as JSON; if not, there is nothing to do.',
  },
  not_object: { text: 'JSON, but not an object', cure: 'Write one JSON object a line.' },
  invalid_json: { text: 'broken JSON', cure: 'Let a JSON library write the line.' },
  too_long: { text: 'longer than 1 MiB', cure: 'Write shorter lines.' },
  torn: { text: 'the last line was cut off', cure: 'The trainer ended in the middle of a line.' },
}

/** A file that is packed, for one: of plain text there is no example. */
const FOREIGN: Reason = { text: 'not readable as lines', cure: 'What came, and what makes lines of it:' }

/** A reason that is new here is shown as it is called. `example`: the first line of it, if one is kept. */
export function reasonOf(name: string, example?: string): Reason {
  if (name === 'text' && example !== undefined) return FOREIGN
  return Object.hasOwn(REASONS, name) ? REASONS[name]! : { text: name.replaceAll('_', ' '), cure: '' }
}
