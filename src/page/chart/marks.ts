import type { Axis } from '../../web/api.ts'
import { eventsOf } from '../state/events.ts'
import type { Mark } from '../state/hash.ts'
import { startOf } from '../state/runs.ts'
import { nearest } from './nearest.ts'
import type { DrawnLine, SceneOptions } from '../../chart/scene.ts'

/** Where a line was at a moment: series of one run may count different things as steps, and share only the time. */
function placeAt(axis: Axis, line: DrawnLine, time: number): number | null {
  if (axis === 'time') return time
  if (axis === 'relative') return time - startOf(line.run)
  return line.steps[nearest(line.times, time)] ?? null
}

/** Events of the runs that are shown, as marks at the foot of a chart; and the moment that was jumped to. */
export function marksOf(
  lines: readonly DrawnLine[],
  axis: Axis,
  withEvents: boolean,
  mark: Mark | null,
): SceneOptions['marks'] {
  const marks: SceneOptions['marks'][number][] = []
  for (const line of lines) {
    for (const { time, level } of withEvents ? eventsOf(line.run) : []) {
      const at = placeAt(axis, line, time)
      if (at !== null) marks.push({ at, kind: level })
    }
    const at = mark?.run === line.run ? placeAt(axis, line, mark.time) : null
    if (at !== null) marks.push({ at, kind: 'place' })
  }
  return marks
}
