import { HOPS } from './hops.ts'
import { secretsOut } from './scene.ts'
import type { Finding, Hop, HopName, HopResult, Scene } from './hop.ts'

/** States of a hop behind which one can go on. */
const PASSABLE: ReadonlySet<string> = new Set(['ok', 'warning'])

/**
 * Looks at every hop in order and tells each as soon as it is known. One that needs a hop that does not work is not
 * reached, the others are looked at all the same: a full disk and a closed tunnel are told in one go.
 */
export async function runChain(scene: Scene, tell: (result: HopResult) => void): Promise<HopResult[]> {
  const passed = new Set<HopName>()
  const results: HopResult[] = []
  const hide = secretsOut(scene.loaded.settings)
  for (const hop of HOPS) {
    const isReached = !scene.stop.aborted && hop.needs(scene).every((name) => passed.has(name))
    const result = isReached ? await timed(hop, scene, hide) : notReached(hop)
    if (PASSABLE.has(result.state)) passed.add(hop.name)
    results.push(result)
    tell(result)
  }
  return results
}

async function timed(hop: Hop, scene: Scene, hide: (text: string) => string): Promise<HopResult> {
  const start = performance.now()
  const { state, detail, cure } = await guarded(hop, scene)
  const ms = Math.round(performance.now() - start)
  return { name: hop.name, state, ms, detail: hide(detail), cure: cure === undefined ? null : hide(cure) }
}

/** What a hop did not expect is told like what it did: the others are looked at. */
async function guarded(hop: Hop, scene: Scene): Promise<Finding> {
  try {
    const finding = await hop.look(scene)
    return scene.stop.aborted ? { ...finding, detail: `stopped by a signal; ${finding.detail}` } : finding
  } catch (error) {
    return { state: 'broken', detail: `cannot be looked at (${(error as Error).message})` }
  }
}

const notReached = ({ name }: Hop): HopResult => ({
  name,
  state: 'not reached',
  ms: null,
  detail: 'not reached',
  cure: null,
})
