import type { PeerName } from '../peers/peers.ts'
import type { Bench } from './row.ts'

/** Those of what is wanted whose peer, if they need one, is there; `found` gets why the others have no figure. */
export const available = <T extends { id: string; peer?: PeerName }>(
  all: readonly T[],
  bench: Bench,
  wanted: ReadonlySet<string>,
  found: Record<string, unknown>,
): T[] =>
  all.filter(({ id, peer }) => {
    if (!wanted.has(id)) return false
    try {
      if (peer !== undefined) bench.peers.path(peer)
      return true
    } catch (error) {
      found[id] = error
      return false
    }
  })
