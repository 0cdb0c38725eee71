import { quoted } from '../telemetry/words.ts'

/** One log record of OTLP with a number and a step. */
const RECORD = JSON.stringify({
  resourceLogs: [
    {
      scopeLogs: [
        {
          logRecords: [
            {
              body: { stringValue: 'a first point' },
              attributes: [
                { key: 'step', value: { intValue: 1 } },
                { key: 'loss', value: { doubleValue: 0.5 } },
              ],
            },
          ],
        },
      ],
    },
  ],
})

export interface Takes {
  /** Where OTLP is received, as `host:port`; undefined: nowhere. */
  otlp: string | undefined
  /** It wants a token, which is never shown. */
  needsToken: boolean
  /** A run beside this process can be made by a pipe. */
  stateDir: string | null
  /** How users call us. */
  command: string
}

/** What a user types to see a first point; null where nothing could take it. */
export function testLine({ otlp, needsToken, stateDir, command }: Takes): string | null {
  if (otlp !== undefined) {
    const token = needsToken ? ' -H "Authorization: Bearer $SPANBRIDGE_OTLP_HTTP_TOKEN"' : ''
    return `curl -s http://${otlp}/v1/logs -H 'Content-Type: application/json'${token} -d '${RECORD}'`
  }
  if (stateDir === null) return null
  return `echo '{"step": 1, "loss": 0.5}' | ${quoted(command)} --state-dir ${quoted(stateDir)}`
}
