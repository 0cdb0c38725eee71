import type { JSX } from 'preact'
import { count } from '../../chart/format.ts'
import { say } from '../parts/notice.tsx'
import { runs, server } from '../state/runs.ts'
import { reasonOf } from './reasons.ts'

const LISTENERS: Readonly<Record<string, (address: string) => string>> = {
  'otlp-http': (address) =>
    `OpenTelemetry (OTLP over HTTP): for the trainer, set OTEL_EXPORTER_OTLP_ENDPOINT=http://${address}`,
  stdin: () => 'lines on standard input',
}
const DEMO = 'npm run demo'

/** No chart yet: what is awaited, where, what came and why it became no chart, and what to type. */
export function Empty(): JSX.Element {
  const now = server.value
  if (now === null) return <p class="nothing">Asking Spanbridge what it has …</p>
  const { listeners, files, testLine, kind } = now.server
  const watched = Object.entries(listeners).filter(([name]) => name !== 'web')
  const isFed = watched.length > 0 || files.length > 0
  return (
    <div class="empty">
      <h2>No number with a step has come yet</h2>
      <p>
        A chart appears here by itself as soon as the trainer writes a structured line with a number and a step, such as{' '}
        <code>{'{"step": 1, "loss": 0.5}'}</code>.
      </p>
      <h3>Where Spanbridge looks</h3>
      {isFed ? (
        <ul class="watched">
          {watched.map(([name, address]) => (
            <li key={name}>
              <code>{address}</code> {LISTENERS[name]?.(address) ?? name}
            </li>
          ))}
          {files.map((file) => (
            <li key={file}>
              <code>{file}</code> read as it grows
            </li>
          ))}
        </ul>
      ) : (
        <p>
          {kind === 'view'
            ? 'This is a viewer: it shows the runs in the folder below and takes nothing in itself.'
            : 'It reads only what the trainer prints or pipes in: no port, no file.'}
        </p>
      )}
      <p class="muted">
        Runs are kept in <code>{now.stateDir}</code>
      </p>
      <Came />
      {testLine !== null && (
        <>
          <h3>Send a test line</h3>
          <Command text={testLine} />
        </>
      )}
      <h3>Or see how it looks with a made-up run, in Spanbridge’s folder</h3>
      <Command text={DEMO} />
    </div>
  )
}

/** What has come in so far and became no chart. */
function Came(): JSX.Element | null {
  const came = runs.value.filter(({ received }) => received.lines + received.events + received.spans > 0)
  if (came.length === 0) return <p class="muted">Nothing has come in so far.</p>
  return (
    <>
      <h3>What has come in so far</h3>
      {came.slice(0, 5).map(({ run, title, received, skipped, notEvents, examples }) => (
        <section key={run}>
          <p>
            <b>{title}</b>: {count(received.lines)} lines, {count(received.events)} of them understood,{' '}
            {count(received.spans)} spans, {count(received.numbers)} numbers.
          </p>
          <ul>
            {Object.entries({ ...skipped, ...notEvents })
              .filter(([, n]) => n > 0)
              .map(([reason, n]) => (
                <li key={reason}>
                  {count(n)}: {reasonOf(reason, examples[reason]).text}. {reasonOf(reason, examples[reason]).cure}
                  {examples[reason] !== undefined && <pre>{examples[reason]}</pre>}
                </li>
              ))}
          </ul>
        </section>
      ))}
    </>
  )
}

/** A line for the terminal, with a button that copies it. */
export function Command({ text }: { text: string }): JSX.Element {
  const copy = (): void => {
    navigator.clipboard.writeText(text).then(
      () => say('Copied'),
      () => say('The browser does not let the page copy: select the text'),
    )
  }
  return (
    <div class="command">
      <pre>{text}</pre>
      <button type="button" onClick={copy}>
        Copy
      </button>
    </div>
  )
}
