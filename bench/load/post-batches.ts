/**
 * A bare load generator for MLflow: the points of a file of lines, 1,000 a request, one request after the other. What can be
 * done beforehand is.
 *
 *     node bench/load/post-batches.ts URL FILE
 */
import { readFileSync } from 'node:fs'
import { Agent, request as ask } from 'node:http'

const [url, file] = process.argv.slice(2)
const POINTS_A_REQUEST = 1000
const agent = new Agent({ keepAlive: true })

const post = (path: string, body: string): Promise<any> =>
  new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
    const request = ask(`${url}/api/2.0/mlflow/${path}`, { method: 'POST', agent, headers }, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        if (answer.statusCode === 200) resolve(JSON.parse(text))
        else reject(new Error(`${path}: ${answer.statusCode} ${text}`))
      })
    })
    request.on('error', reject)
    request.end(body)
  })

const PREFIXES: Readonly<Record<string, string>> = { TRAINER: 'trainer/', ACTOR: 'actor/', EVAL: 'evaluator/' }

interface Line {
  timestamp: string
  fields: Record<string, unknown>
}

const points = readFileSync(file!, 'utf8')
  .trimEnd()
  .split('\n')
  .flatMap((text) => {
    const { timestamp, fields } = JSON.parse(text) as Line
    const prefix = PREFIXES[String(fields['category']).toUpperCase()] ?? 'misc/'
    const step = Number(fields['timesteps'] ?? fields['policy_version'])
    return Object.entries(fields)
      .filter(([name, value]) => typeof value === 'number' && name !== 'timesteps' && name !== 'policy_version')
      .map(([name, value]) => ({ key: prefix + name, value, timestamp: Date.parse(timestamp), step }))
  })
const { run } = await post('runs/create', JSON.stringify({ experiment_id: '0', start_time: 0 }))
const bodies: string[] = []
for (let i = 0; i < points.length; i += POINTS_A_REQUEST)
  bodies.push(JSON.stringify({ run_id: run.info.run_id, metrics: points.slice(i, i + POINTS_A_REQUEST) }))
for (const body of bodies) await post('runs/log-batch', body)
agent.destroy()
