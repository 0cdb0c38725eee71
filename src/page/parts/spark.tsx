import type { JSX } from 'preact'

const WIDTH = 72
const HEIGHT = 18

/** A series in small; gaps where nothing finite is. */
export function Spark({ values }: { values: readonly (number | null)[] }): JSX.Element | null {
  const finite = values.filter((value) => value !== null)
  if (finite.length < 2) return null
  const min = Math.min(...finite)
  const span = Math.max(...finite) - min || 1
  let isDown = false
  const path = values.map((value, i) => {
    if (value === null) {
      isDown = false
      return ''
    }
    const x = (i / (values.length - 1)) * WIDTH
    const y = HEIGHT - 2 - ((value - min) / span) * (HEIGHT - 4)
    const letter = isDown ? 'L' : 'M'
    isDown = true
    return `${letter}${x.toFixed(1)} ${y.toFixed(1)}`
  })
  return (
    <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width={WIDTH} height={HEIGHT} aria-hidden="true">
      <path d={path.join('')} />
    </svg>
  )
}
