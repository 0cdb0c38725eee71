import { parseArgs } from 'node:util'
import type { PeerChoice } from '../peers/peers.ts'

export interface Options {
  rounds: number
  isQuick: boolean
  peers: PeerChoice
  /** Which rows, with * and ?. */
  rows: string[]
  writeDocs: boolean
  list: boolean
}

export const HELP = `npm run bench -- [--rows GLOB,...] [--rounds N] [--peers none|quick|all] [--quick] [--write-docs] [--list]

  --rows        rows by their names, with * and ?; others keep what coverage/bench.json says of them
  --rounds      paired rounds of each row; 5, with --quick 3
  --peers       none: only rows without one; quick: those that are on the machine or in the cache; all: install the rest
                (into $SPANBRIDGE_BENCH_CACHE, else ~/.cache/spanbridge-bench); all, with --quick quick
  --quick       smaller loads, about five minutes in all
  --write-docs  make docs/performance.md of the figures
  --list        only say which rows there are
`

const PEERS: readonly string[] = ['none', 'quick', 'all']

/** @throws with words for the user */
export function readOptions(args: readonly string[]): Options | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string' },
      rows: { type: 'string', default: '*' },
      peers: { type: 'string' },
      quick: { type: 'boolean', default: false },
      'write-docs': { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return null
  const rounds = Number(values.rounds ?? (values.quick ? 3 : 5))
  if (!Number.isInteger(rounds) || rounds < 1)
    throw new Error(`--rounds: expected a number from 1, got '${values.rounds}'`)
  const peers = values.peers ?? (values.quick ? 'quick' : 'all')
  if (!PEERS.includes(peers)) throw new Error(`--peers: expected one of ${PEERS.join(', ')}, got '${peers}'`)
  return {
    rounds,
    isQuick: values.quick,
    peers: peers as PeerChoice,
    rows: values.rows.split(','),
    writeDocs: values['write-docs'],
    list: values.list,
  }
}
