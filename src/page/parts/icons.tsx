import type { JSX } from 'preact'

const PATHS = {
  pin: 'M6 2h4l-.6 4.5L12 9v1.2H8.6V14L8 15l-.6-1v-3.8H4V9l2.6-2.5z',
  menu: 'M8 3.2v.1M8 8v.1M8 12.8v.1',
  fold: 'M4 6l4 4 4-4',
  grow: 'M9.5 3H13v3.5M6.5 13H3V9.5M13 3L9 7M3 13l4-4',
  sun: 'M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6M8 1v1.6M8 13.4V15M1 8h1.6M13.4 8H15M3 3l1.2 1.2M11.8 11.8L13 13M3 13l1.2-1.2M11.8 4.2L13 3',
  moon: 'M13.2 9.6A5.6 5.6 0 0 1 6.4 2.8a5.6 5.6 0 1 0 6.8 6.8z',
  half: 'M8 2a6 6 0 1 0 0 12M8 2v12M8 2a6 6 0 0 1 0 12M10 3v10M12 4.6v6.8',
  close: 'M4 4l8 8M12 4l-8 8',
  search: 'M7 3a4 4 0 1 0 0 8 4 4 0 0 0 0-8M10 10l3.4 3.4',
  edit: 'M3 13l.6-2.8L10.8 3 13 5.2l-7.2 7.2z',
  archive: 'M2.5 3.5h11v3h-11zM3.5 6.5v6.5h9V6.5M6.5 9h3',
  trash: 'M3 4.5h10M6.2 4.5V3h3.6v1.5M4.2 4.5l.7 8.5h6.2l.7-8.5',
  out: 'M9 3h4v4M13 3L7.5 8.5M11 9.5V13H3V5h3.5',
} as const

/** A small line drawing; what it means stands beside it or in its button's name. */
export function Icon({ name, fill = false }: { name: keyof typeof PATHS; fill?: boolean }): JSX.Element {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
      <path d={PATHS[name]} fill={fill ? 'currentColor' : 'none'} />
    </svg>
  )
}
