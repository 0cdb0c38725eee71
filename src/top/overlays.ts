import { count } from '../chart/format.ts'
import { stateOf, troubleOf } from './account.ts'
import type { Box, Frame } from './frame.ts'
import { KEYS } from './state.ts'
import { fit } from './text.ts'
import type { Model } from './view.ts'

/** Clears a box in the middle and puts a frame around it. @returns what is inside */
function window(frame: Frame, title: string, wanted: { width: number; height: number }): Box {
  const width = Math.min(frame.width, wanted.width + 4)
  const height = Math.min(frame.height, wanted.height + 2)
  const x = (frame.width - width) >> 1
  const y = (frame.height - height) >> 1
  frame.tile({ x, y, width, height }, ' ', 'plain')
  frame.put(x, y, `┌${'─'.repeat(width - 2)}┐`, 'muted')
  for (let row = 1; row < height - 1; row += 1) {
    frame.put(x, y + row, '│', 'muted')
    frame.put(x + width - 1, y + row, '│', 'muted')
  }
  frame.put(x, y + height - 1, `└${'─'.repeat(width - 2)}┘`, 'muted')
  frame.put(x + 2, y, ` ${title} `, 'strong', x + width - 1)
  return { x: x + 2, y: y + 1, width: width - 4, height: height - 2 }
}

export function drawHelp(frame: Frame): void {
  const lines = [
    ...KEYS.filter(({ shown }) => shown !== ''),
    { shown: 'Esc', does: 'back: chart, filter, group' },
    { shown: 'Ctrl-Z', does: 'to the shell; fg comes back' },
    { shown: 'q', does: 'quit (also Ctrl-C)' },
  ]
  const box = window(frame, 'keys', { width: 68, height: lines.length })
  for (const [i, { shown, does }] of lines.slice(0, box.height).entries()) {
    frame.put(box.x, box.y + i, shown, 'strong')
    frame.put(box.x + 10, box.y + i, does, 'plain', box.x + box.width)
  }
}

/** The list of runs, newest first, around the chosen one. */
export function drawRuns(frame: Frame, { runs, state, now }: Pick<Model, 'runs' | 'state' | 'now'>): void {
  const box = window(frame, `runs ${state.listed + 1}/${runs.length}`, {
    width: Math.min(100, frame.width - 8),
    height: Math.max(1, Math.min(runs.length, frame.height - 6)),
  })
  const first = Math.max(0, Math.min(state.listed - (box.height >> 1), runs.length - box.height))
  const end = box.x + box.width
  const wide = Math.max(10, Math.floor(box.width / 3))
  for (const [i, run] of runs.slice(first, first + box.height).entries()) {
    const y = box.y + i
    const isChosen = first + i === state.listed
    if (isChosen) frame.tile({ ...box, y, height: 1 }, ' ', 'selected')
    const { words, style } = stateOf(run, now)
    frame.put(box.x, y, `${isChosen ? '▸' : ' '}${fit(run.title, wide - 2)}`, isChosen ? 'selected' : 'strong', end)
    const x = frame.put(box.x + wide, y, words, isChosen ? 'selected' : style, end)
    const step = run.lastStep === null ? '' : `  step ${count(run.lastStep)}`
    frame.put(x, y, `${step}  ${troubleOf(run).words}`, isChosen ? 'selected' : 'muted', end)
  }
}
