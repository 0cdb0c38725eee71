import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'

/** Ports behind a default one that is taken which are tried before any free one. */
const NEIGHBOURS = 20

export interface WebListenOptions {
  host: string
  /** 0: a free one. */
  port: number
  /** The port was named by the user: another one is no answer. */
  isNamed: boolean
  /** Gets every connection, nothing of it read. */
  take: (socket: Socket) => void
}

/** A page that is listened for. */
export interface WebListener {
  /** As `host:port`. */
  readonly address: string
  readonly port: number
  close(): void
  /** The process may end while it listens. */
  unref(): void
}

/** Listens; where a default port is taken, on the next one that is free. @throws what the system says when it cannot */
export async function listenForPage({ host, port, isNamed, take }: WebListenOptions): Promise<WebListener> {
  const server = createServer({ pauseOnConnect: true }, take)
  const others = isNamed || port === 0 ? [] : [...Array.from({ length: NEIGHBOURS }, (_, i) => port + 1 + i), 0]
  for (const candidate of [port, ...others.filter((each) => each <= 65_535)]) {
    try {
      await listen(server, host, candidate)
      break
    } catch (error) {
      if (others.length === 0 || candidate === 0 || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    }
  }
  server.on('error', () => {}) // a connection that could not be accepted is the client's to try again
  const { port: bound } = server.address() as AddressInfo
  return {
    address: `${host.includes(':') ? `[${host}]` : host}:${bound}`,
    port: bound,
    close: () => void server.close(),
    unref: () => void server.unref(),
  }
}

const listen = (server: Server, host: string, port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    const fail = (error: Error): void => reject(error)
    server.once('error', fail)
    server.listen(port, host, () => {
      server.removeListener('error', fail)
      resolve()
    })
  })
