import type { Plot } from '../chart/plot.ts'
import { choose } from '../state/view.ts'
import { cursor } from './tooltip.tsx'

/** Narrower drags are clicks. */
const MIN_DRAG = 5

/** The pointer over a chart: the cursor follows it, a drag zooms all charts, a double click shows all again. */
export function followPointer(plot: Plot, overlay: HTMLCanvasElement): () => void {
  const listening = new AbortController()
  const { signal } = listening
  let start: { left: number; place: number } | null = null
  const leftOf = (event: MouseEvent): number => event.clientX - overlay.getBoundingClientRect().left
  overlay.addEventListener(
    'pointermove',
    (event) => {
      const place = plot.placeAt(leftOf(event))
      cursor.value = place === null ? null : { plot, place, left: event.clientX, top: event.clientY }
      if (start === null || place === null) return
      plot.drag = [start.place, place]
      plot.drawCursor(place)
    },
    { signal },
  )
  overlay.addEventListener(
    'pointerdown',
    (event) => {
      const place = plot.placeAt(leftOf(event))
      if (event.button !== 0 || event.pointerType === 'touch' || place === null) return
      start = { left: event.clientX, place }
      overlay.setPointerCapture(event.pointerId)
    },
    { signal },
  )
  overlay.addEventListener(
    'pointerup',
    (event) => {
      const from = start
      start = plot.drag = null
      plot.drawCursor(cursor.peek()?.place ?? null)
      const { left, width } = overlay.getBoundingClientRect()
      const to = plot.placeAt(Math.min(Math.max(event.clientX - left, plot.frame?.left ?? 0), width - 10))
      if (from === null || to === null || Math.abs(event.clientX - from.left) < MIN_DRAG) return
      choose({ zoom: wholeRange(plot, from.place, to) })
    },
    { signal },
  )
  overlay.addEventListener('dblclick', () => choose({ zoom: null }), { signal })
  overlay.addEventListener('pointerleave', () => (cursor.value = null), { signal })
  overlay.addEventListener('pointercancel', () => (start = plot.drag = null), { signal })
  return () => listening.abort()
}

/** Steps and milliseconds are whole, and a range holds at least one. */
function wholeRange(plot: Plot, a: number, b: number): [number, number] {
  const from = Math.floor(Math.min(a, b))
  const to = Math.ceil(Math.max(a, b))
  const { min, max } = plot.scene!.x
  return [Math.max(from, Math.floor(min)), Math.min(Math.max(to, from + 1), Math.ceil(max))]
}

/** Arrow keys move the cursor from point to point. Says whether it was such a key. */
export function walkPoints(plot: Plot, key: string): boolean {
  const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[key]
  const line = plot.scene?.lines[0]
  if (step === undefined || line === undefined || plot.frame === null) return false
  const inView = line.xs.filter((x) => x >= plot.scene!.x.min && x <= plot.scene!.x.max)
  const at = cursor.peek()?.plot === plot ? inView.indexOf(plot.at(cursor.peek()!.place)[0]?.x ?? Number.NaN) : -1
  const next = at < 0 ? (step > 0 && step !== Infinity ? 0 : inView.length - 1) : at + step
  const place = inView[Math.min(inView.length - 1, Math.max(0, next))]
  if (place === undefined) return true
  const { left, top } = plot.box()
  const { min, max } = plot.scene!.x
  const { left: inset, width } = plot.frame
  cursor.value = { plot, place, left: left + inset + ((place - min) / (max - min)) * width, top: top + 20 }
  return true
}
