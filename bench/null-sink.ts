/** Answers as an MLflow that keeps nothing: counts the metrics it is sent, at once. Prints its address, and at the end the count. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

let metrics = 0
const server = createServer((request, response) => {
  let count = 0
  request.on('data', (chunk: Buffer) => {
    for (let at = chunk.indexOf('"step":'); at >= 0; at = chunk.indexOf('"step":', at + 7)) count += 1
  })
  request.on('end', () => {
    const path = request.url ?? ''
    metrics += count
    const info = { run_id: 'r', experiment_id: '0', status: 'FINISHED' }
    // An older server has NaNs sent alone.
    if (path === '/version') response.end('3.17.0')
    if (response.writableEnded) return
    const body = path.includes('runs/create')
      ? { run: { info } }
      : path.includes('runs/update')
        ? { run_info: info }
        : {}
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  })
})
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
process.on('SIGTERM', () => {
  // A name that is cut by the edge of a chunk is not counted: good enough to see that all came.
  console.log(String(metrics))
  process.exit()
})
