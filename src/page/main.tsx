import { render } from 'preact'
import { App } from './app.tsx'
import { exposeCharts } from './state/exposed.ts'
import { follow } from './state/live.ts'
import './style.css'

render(<App />, document.querySelector('#page')!)
exposeCharts()
follow()
