import type { JSX } from 'preact'
import { Dialog } from '../parts/menu.tsx'
import { TABS } from '../state/hash.ts'
import { choose, view } from '../state/view.ts'

const KEYS: readonly [string, string][] = [
  ['1 to 6', 'Charts, Runs, Timeline, Events, Params, Delivery'],
  ['/', 'filter or search'],
  ['r', 'show everything again after a zoom'],
  ['s, S', 'more smoothing, less smoothing'],
  ['l', 'logarithmic y axis'],
  ['o', 'cut outliers'],
  ['e', 'marks of warnings and errors'],
  ['x', 'next axis: step, time, relative'],
  ['Tab', 'to the next chart'],
  ['← →', 'on a chart: from point to point'],
  ['Enter', 'on a chart: the whole width, and back'],
  ['p', 'on a chart: pin it to the top'],
  ['Esc', 'close what is open'],
  ['?', 'these keys'],
]

export function Keys({ close }: { close: () => void }): JSX.Element {
  return (
    <Dialog title="Keys" close={close}>
      <dl class="keys">
        {KEYS.map(([key, text]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  )
}

const rounded = (strength: number): number => Math.round(Math.min(0.99, Math.max(0, strength)) * 100) / 100

const ACTIONS: Readonly<Record<string, () => void>> = {
  r: () => choose({ zoom: null }),
  s: () => choose({ smoothing: rounded(view.peek().smoothing + 0.1) }),
  S: () => choose({ smoothing: rounded(view.peek().smoothing - 0.1) }),
  l: () => choose({ log: !view.peek().log }),
  o: () => choose({ clip: !view.peek().clip }),
  e: () => choose({ marks: !view.peek().marks }),
  x: () => {
    const axes = ['step', 'time', 'relative'] as const
    choose({ axis: axes[(axes.indexOf(view.peek().axis) + 1) % axes.length]!, zoom: null })
  },
  Escape: () => choose({ large: null }),
}

/** Keys of the whole page; not while one types. */
export function listenToKeys(showKeys: () => void): void {
  addEventListener('keydown', (event) => {
    const { target, key } = event
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return
    const isTyping = target instanceof HTMLInputElement && target.type !== 'range' && target.type !== 'checkbox'
    if (isTyping) {
      if (key === 'Escape') target.blur()
      return
    }
    if (document.querySelector('dialog[open]') !== null) return
    const search = document.querySelector<HTMLInputElement>('input[type=search]')
    const tab = TABS[Number(key) - 1]
    if (key === '/' && search !== null) search.focus()
    else if (key === '?') showKeys()
    else if (tab !== undefined) choose({ tab })
    else if (Object.hasOwn(ACTIONS, key)) ACTIONS[key]!()
    else return
    event.preventDefault()
  })
}
