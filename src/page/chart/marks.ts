import type { Axis } from '../../web/api.ts'
import { eventsOf } from '../state/events.ts'
import { startOf } from '../state/runs.ts'
import type { SceneOptions } from './scene.ts'

/** Events of the runs that are shown, as marks at the foot of charts; and the step that was jumped to. */
export function marksOf(
  runs: readonly string[],
  axis: Axis,
  withEvents: boolean,
  step: number | null,
): SceneOptions['marks'] {
  const marks: SceneOptions['marks'][number][] = []
  if (step !== null && axis === 'step') marks.push({ at: step, kind: 'place' })
  for (const run of withEvents ? runs : []) {
    for (const row of eventsOf(run)) {
      const at = axis === 'step' ? row.step : axis === 'time' ? row.time : row.time - startOf(run)
      if (at !== null) marks.push({ at, kind: row.level })
    }
  }
  return marks
}
