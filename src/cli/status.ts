import { readStateDir, type RunStatus } from '../journal/status.ts'
import { escapeControl, safeJson } from '../telemetry/say.ts'
import { number } from '../telemetry/words.ts'
import type { Context } from './app.ts'
import { pagesOf } from './daemon-file.ts'
import { EXIT } from './exit-codes.ts'

/** `status`: the account of every run in the state directory, of live ones as of their last commit. */
export async function status({ flags, stateDir, stdout, voice }: Context): Promise<number> {
  let found: ReturnType<typeof readStateDir>
  try {
    found = readStateDir(stateDir)
  } catch (error) {
    voice.say(`stateDir: expected a directory, got '${stateDir}' (${(error as Error).message})`)
    return EXIT.usage
  }
  const { runs, unreadable } = found
  for (const { journal, error } of unreadable) voice.say(`${journal} cannot be read: ${error}`)
  const pages = pagesOf(stateDir)
  const text = flags.json
    ? `${safeJson({ runs, pages })}\n`
    : runs.length === 0
      ? `no ${unreadable.length > 0 ? 'readable ' : ''}runs in ${stateDir}\n`
      : runs.map(describe).join('\n')
  stdout.write(Buffer.from(text))
  if (!flags.json && pages.length > 0)
    stdout.write(
      Buffer.from(`\n${pages.map(({ url, pid }) => `page  ${escapeControl(url)}  (process ${pid})\n`).join('')}`),
    )
  return EXIT.ok
}

function describe(run: RunStatus): string {
  const reasons = (counts: Record<string, number>): string[] =>
    Object.entries(counts)
      .filter(([, n]) => n > 0)
      .map(([reason, n]) => `${reason} ${number(n)}`)
  const parts = [`${number(run.points)} points`, ...reasons(run.skipped).map((text) => `skipped ${text}`)]
  const lines = [
    `${run.name} (${run.run}) ${run.status}, since ${new Date(run.startedAt).toLocaleString('sv-SE')}`,
    `  received   ${number(run.received.numbers)} numbers in ${number(run.received.events)} events, ${number(run.received.lines)} lines${run.received.spans === 0 ? '' : `, ${number(run.received.spans)} spans`}`,
    `             = ${parts.join(' + ')}`,
    `  journaled  ${number(run.journaled.points)} points of ${number(run.series)} series${reasons(run.dropped)
      .map((text) => `, dropped ${text}`)
      .join('')}`,
    `             ${run.journal}`,
  ]
  for (const [reason, line] of Object.entries(run.examples)) lines.push(`  ${reason.padEnd(10)} first in: ${line}`)
  if (run.received.spans > 0) lines.push(spanLine(run))
  if (run.eventAccount.received > 0) lines.push(eventLine(run))
  const notEvents = reasons(run.notEvents)
  if (notEvents.length > 0) lines.push(`  no events  ${notEvents.join(', ')}`)
  for (const { exporter, address, state, points, spans, lastError, page } of run.destinations) {
    const { delivered, rejected, evicted, pending } = spans ?? points
    const lost = evicted === 0 ? '' : `${number(evicted)} dropped undelivered, `
    lines.push(
      `  ${exporter.padEnd(10)} ${address} ${state}: ${number(delivered)} ${spans === null ? '' : 'spans '}delivered, ${number(rejected)} refused, ${lost}${number(pending)} pending`,
    )
    if (page !== null) lines.push(`             ${page}`)
    if (lastError !== null) lines.push(`             ${lastError}`)
  }
  // Names come from the network, errors from servers, examples from lines.
  return `${lines.map(escapeControl).join('\n')}\n`
}

const spanLine = ({ spanAccount, journaled }: RunStatus): string =>
  `  spans      ${number(spanAccount.received)} received = ${number(journaled.spans)} journaled + ${number(spanAccount.duplicate)} duplicate`

const eventLine = ({ eventAccount: { received, journaled, notKept, dropped } }: RunStatus): string => {
  const lost = Object.values(dropped).reduce((sum, n) => sum + n, 0)
  return (
    `  events     ${number(received)} of level WARN or ERROR = ${number(journaled)} journaled` +
    `${notKept === 0 ? '' : ` (${number(notKept)} not kept)`}${lost === 0 ? '' : ` + ${number(lost)} dropped`}`
  )
}
