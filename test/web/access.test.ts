import { mkdirSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { cookieName, cookieValue } from '../../src/web/token.ts'
import { FilledJournal } from '../support/filled-journal.ts'
import { get, raw, serve, TOKEN } from '../support/page.ts'
import { until, type Place } from '../support/served.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

const cookieOf = ({ port }: Place): string => `${cookieName(port)}=${cookieValue(TOKEN, port)}`

async function withPage() {
  const stateDir = temporaryDirectory()
  mkdirSync(join(stateDir, 'page'))
  writeFileSync(join(stateDir, 'page', 'index.html'), '<!doctype html><title>page</title>')
  new FilledJournal({ run: '01A' }, join(stateDir, '01A.sqlite')).end()
  return { stateDir, ...(await serve(stateDir)) }
}

it('the address with the token lets a browser in, and the token leaves the address', async () => {
  const place = await withPage()
  const { status, headers } = await get(place, `/?token=${TOKEN}&x=1`, { bare: true })
  expect([status, headers['location']]).toEqual([303, '/?x=1'])
  const [cookie, ...attributes] = String(headers['set-cookie']).split('; ')
  expect(cookie).toBe(cookieOf(place))
  expect(attributes).toEqual(['HttpOnly', 'SameSite=Strict', 'Path=/'])
  const page = await get(place, '/', { bare: true, headers: { cookie: `other=1; ${cookie}` } })
  expect([page.status, page.body.toString()]).toEqual([200, '<!doctype html><title>page</title>'])
  expect((await get(place, '/api/v1/state', { bare: true, headers: { cookie: cookie! } })).status).toBe(200)
})

it('through a tunnel the cookie is that of the port at which the browser is', async () => {
  const place = await withPage()
  const host = 'localhost:8080'
  const { headers } = await get(place, `/?token=${TOKEN}`, { bare: true, headers: { host } })
  const cookie = String(headers['set-cookie']).split(';')[0]!
  expect(cookie).toBe(`${cookieName(8080)}=${cookieValue(TOKEN, 8080)}`)
  const own = { cookie, host, origin: `http://${host}`, 'sec-fetch-site': 'same-origin' }
  const sent = { method: 'PATCH', bare: true, body: '{"archived":true}' } as const
  expect((await get(place, '/', { bare: true, headers: own })).status).toBe(200)
  const json = { 'content-type': 'application/json' }
  expect((await get(place, '/api/v1/runs/01A', { ...sent, headers: { ...own, ...json } })).status).toBe(200)
})

it('without the token nothing is shown, and one sentence tells where it is', async () => {
  const place = await withPage()
  const paths = [
    '/',
    '/?token=',
    '/?token=wrong',
    `/?token=${TOKEN}&token=${TOKEN}`,
    '/assets/x.js',
    '/favicon.ico',
    '/nowhere',
    '/api/v1/state',
    '/api/v1/openapi.json',
    '/api/v1/nowhere',
  ]
  for (const path of paths) {
    const { status, body } = await get(place, path, { bare: true })
    expect(status, path).toBe(401)
    expect(body.toString(), path).toContain(
      "open the address that Spanbridge printed when it started, or that 'spanbridge status' shows",
    )
    expect(body.toString().trim().split('\n')).toHaveLength(1)
  }
  const wrong: Record<string, string>[] = [
    { authorization: 'Bearer wrong' },
    { authorization: TOKEN },
    { authorization: `Basic ${btoa(`x:${TOKEN}`)}` },
    { cookie: `${cookieName(place.port)}=${TOKEN}` },
    { cookie: `${cookieName(place.port + 1)}=${cookieValue(TOKEN, place.port)}` },
    { cookie: cookieOf(place), authorization: 'Bearer wrong' },
  ]
  for (const headers of wrong) expect((await get(place, '/api/v1/state', { bare: true, headers })).status).toBe(401)
  for (const method of ['PATCH', 'DELETE', 'POST', 'PUT', 'OPTIONS'] as const)
    expect((await get(place, '/api/v1/runs/01A', { bare: true, method })).status, method).toBe(401)
})

it('by another name than of this machine nobody is heard (DNS rebinding)', async () => {
  const place = await withPage()
  const statusFor = async (host: string): Promise<string> => {
    const headers = `Host: ${host}\r\nAuthorization: Bearer ${TOKEN}\r\nConnection: close`
    return (await raw(place.port, `GET /api/v1/state HTTP/1.1\r\n${headers}\r\n\r\n`)).slice(9, 12)
  }
  for (const host of [
    'evil.test',
    `evil.test:${place.port}`,
    '127.0.0.1.evil.test',
    'localhost.evil.test',
    '10.0.0.1',
    '[::2]',
    '',
  ])
    expect(await statusFor(host), host).toBe('403')
  for (const host of ['127.0.0.1', 'LOCALHOST:8080', '[::1]:4400', '127.0.0.53'])
    expect(await statusFor(host), host).toBe('200')
  const twice = `GET /api/v1/state HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.test\r\nAuthorization: Bearer ${TOKEN}\r\nConnection: close\r\n\r\n`
  expect((await raw(place.port, twice)).slice(9, 12)).toBe('400')
  expect((await raw(place.port, 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n')).slice(9, 12)).toBe('400')
})

it('another page can change nothing, and read nothing, with the cookie of a browser', async () => {
  const place = await withPage()
  const cookie = cookieOf(place)
  const base = { cookie, 'content-type': 'application/json' }
  const send = (method: 'GET' | 'PATCH' | 'DELETE', headers: Record<string, string>) =>
    get(
      place,
      method === 'DELETE' ? '/api/v1/runs/01A?confirm=no' : method === 'GET' ? '/api/v1/state' : '/api/v1/runs/01A',
      { method, bare: true, headers, ...(method === 'PATCH' ? { body: '{"title":"x"}' } : {}) },
    )
  for (const method of ['GET', 'PATCH', 'DELETE'] as const)
    for (const site of ['cross-site', 'same-site'])
      expect((await send(method, { ...base, 'sec-fetch-site': site })).status, `${method} ${site}`).toBe(403)
  for (const method of ['GET', 'PATCH', 'DELETE'] as const)
    for (const origin of ['http://evil.test', 'null', 'http://127.0.0.1:1'])
      expect((await send(method, { ...base, origin })).status, `${method} ${origin}`).toBe(403)
  for (const method of ['PATCH', 'DELETE'] as const) {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data'])
      expect((await send(method, { cookie, 'content-type': type })).status, type).toBe(403)
  }
  const own = { ...base, 'sec-fetch-site': 'same-origin', origin: place.base }
  expect((await send('PATCH', own)).status).toBe(200)
  expect((await send('DELETE', { cookie, 'sec-fetch-site': 'same-origin', origin: place.base })).status).toBe(400)
  expect((await send('PATCH', { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' })).status).toBe(
    200,
  )
  const preflight = await get(place, '/api/v1/runs/01A', {
    method: 'OPTIONS',
    headers: { origin: 'http://evil.test', 'access-control-request-method': 'PATCH' },
  })
  expect([
    preflight.status,
    Object.keys(preflight.headers).filter((name) => name.startsWith('access-control')),
  ]).toEqual([403, []])
})

it('every answer, also one that says no, forbids what the page does not need', async () => {
  const place = await withPage()
  for (const path of ['/', '/nowhere', '/api/v1/state', '/api/v1/nowhere']) {
    for (const bare of [true, false]) {
      const { headers } = await get(place, path, { bare })
      expect(headers['content-security-policy']).toBe(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      )
      expect(headers['x-content-type-options']).toBe('nosniff')
      expect(headers['referrer-policy']).toBe('no-referrer')
      expect(headers['cache-control']).toMatch(path === '/' && !bare ? 'no-cache' : 'no-store')
    }
  }
})

it('where every address of the machine is listened on, addresses are names of it', async () => {
  const stateDir = temporaryDirectory()
  const place = await serve(stateDir, '0.0.0.0')
  const status = async (host: string): Promise<string> =>
    (
      await raw(
        place.port,
        `GET /api/v1/state HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${TOKEN}\r\nConnection: close\r\n\r\n`,
      )
    ).slice(9, 12)
  expect(await Promise.all(['10.0.0.1:4400', '127.0.0.1', 'evil.test'].map(status))).toEqual(['200', '200', '403'])
})

it('a client that asks for too much is refused, and the next one is served', async () => {
  const place = await withPage()
  const body = JSON.stringify({ title: 'x'.repeat(70_000) })
  const headers = { 'content-type': 'application/json' }
  expect((await get(place, '/api/v1/runs/01A', { method: 'PATCH', headers, body })).status).toBe(413)
  const chunked = `PATCH /api/v1/runs/01A HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${TOKEN}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${'2000\r\n' + ' '.repeat(0x2000) + '\r\n'}`
  expect((await raw(place.port, chunked + `2000\r\n${' '.repeat(0x2000)}\r\n`.repeat(9))).slice(9, 12)).toBe('413')
  const long = `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`
  expect((await raw(place.port, long)).slice(9, 12)).toBe('431')
  expect((await raw(place.port, 'nonsense\r\n\r\n')).slice(9, 12)).toBe('400')
  expect((await get(place, '/api/v1/state')).status).toBe(200)
})

it('with 64 connections open the next one is told to come again', async () => {
  const place = await withPage()
  const open = await Promise.all(
    Array.from(
      { length: 64 },
      () =>
        new Promise<ReturnType<typeof connect>>((resolve) => {
          const socket = connect(place.port, '127.0.0.1', () => resolve(socket))
          socket.on('error', () => {})
        }),
    ),
  )
  const request = `GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`
  await expect.poll(async () => (await raw(place.port, request)).slice(9, 12)).toBe('503')
  open[0]!.destroy()
  await expect.poll(async () => (await raw(place.port, request)).slice(9, 12)).toBe('401')
  for (const socket of open) socket.destroy()
})

it('a client that does not end its request is cut off', async () => {
  const place = await withPage()
  const from = performance.now()
  expect(await raw(place.port, 'GET / HTTP/1.1\r\nHost: localhost\r\n')).toMatch(/^HTTP\/1.1 408 /)
  expect(performance.now() - from).toBeLessThan(20_000)
})

it('a client that goes away in the middle of its request is no fault', async () => {
  const place = await withPage()
  const socket = connect(place.port, '127.0.0.1')
  const head = `PATCH /api/v1/runs/01A HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${TOKEN}\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n`
  socket.write(`${head}{`, () => socket.destroy())
  await expect.poll(() => socket.closed && place.server.connections === 0).toBe(true)
  expect(place.faults).toEqual([])
})

it('charts that nobody reads take a bounded memory: the next one is told to come again', async () => {
  const stateDir = temporaryDirectory()
  const filled = new FilledJournal({ run: '01B' }, join(stateDir, '01B.sqlite'))
  for (let i = 0; i < 16; i += 1)
    filled.points(Array.from({ length: 1000 }, (_, j) => ({ key: 'x', step: i * 1000 + j, value: Math.sin(i + j) })))
  const place = await serve(stateDir, '127.0.0.1', stateDir, { maxUnsentBytes: 1 << 20 })
  const url = '/api/v1/series?run=01B&key=x&width=8192'
  const clients: Socket[] = []
  // How much the system's own buffers hold shows in time only: more clients come while that is not enough.
  await until(async () => {
    if (clients.length < 30) {
      const client = connect(place.port, '127.0.0.1').pause()
      client.write(`GET ${url} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${TOKEN}\r\n\r\n`.repeat(60))
      clients.push(client)
    }
    return (await get(place, url)).status === 503
  })
  for (const client of clients) client.destroy()
  await until(async () => (await get(place, url)).status === 200)
})
