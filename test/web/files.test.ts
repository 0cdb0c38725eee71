import { mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { expect, it } from 'vitest'
import { get, raw, serve } from '../support/page.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

async function withFiles(files: Record<string, string>) {
  const stateDir = temporaryDirectory()
  writeFileSync(join(stateDir, 'secret.txt'), 'secret')
  const pageDir = join(stateDir, 'page')
  const build = (built: Record<string, string>): void => {
    mkdirSync(join(pageDir, 'assets'), { recursive: true })
    for (const [name, content] of Object.entries(built)) writeFileSync(join(pageDir, name), content)
  }
  if (Object.keys(files).length > 0) build(files)
  return { ...(await serve(stateDir)), build, pageDir }
}

it('a page that is not built says how to build it, and is there once it is', async () => {
  const { build, ...place } = await withFiles({})
  const { status, body } = await get(place, '/')
  expect([status, body.toString()]).toEqual([
    503,
    "the page is not built: run 'npm run build:page' in the folder of Spanbridge\n",
  ])
  expect((await get(place, '/assets/a-12345678.js')).status).toBe(404)
  build({ 'index.html': 'new', 'assets/a-12345678.js': 'x' })
  expect((await get(place, '/')).body.toString()).toBe('new')
  expect((await get(place, '/assets/a-12345678.js')).status).toBe(200)
})

it('files have their type; those with a hash in their names may be kept for ever, the others are asked for again', async () => {
  const place = await withFiles({
    'index.html': 'i',
    'icon.svg': 's',
    'assets/index-a1B2_c3-.js': 'j',
    'assets/index-a1b2c3d4.css': 'c',
  })
  const of = async (path: string) => {
    const { headers } = await get(place, path)
    return [headers['content-type'], headers['cache-control']]
  }
  const forever = 'public, max-age=31536000, immutable'
  expect(await of('/')).toEqual(['text/html; charset=utf-8', 'no-cache'])
  expect(await of('/icon.svg')).toEqual(['image/svg+xml', 'no-cache'])
  expect(await of('/assets/index-a1B2_c3-.js')).toEqual(['text/javascript; charset=utf-8', forever])
  expect(await of('/assets/index-a1b2c3d4.css')).toEqual(['text/css; charset=utf-8', forever])
})

it('what was compressed beforehand is sent to those who take it, the shortest first', async () => {
  const place = await withFiles({ 'index.html': 'i', 'index.html.gz': 'gz', 'index.html.br': 'br' })
  const of = async (accepted: string) => {
    const { headers, body } = await get(place, '/', { headers: { 'accept-encoding': accepted } })
    return [headers['content-encoding'], body.toString()]
  }
  expect(await of('gzip, deflate, br')).toEqual(['br', 'br'])
  expect(await of('gzip')).toEqual(['gzip', 'gz'])
  expect(await of('br;q=0, gzip;q=0.5')).toEqual(['gzip', 'gz'])
  expect(await of('identity')).toEqual([undefined, 'i'])
})

it('HEAD has the headers of GET and no body', async () => {
  const place = await withFiles({ 'index.html': '12345' })
  const { status, headers, body } = await get(place, '/', { method: 'HEAD' })
  expect([status, headers['content-length'], body.length]).toEqual([200, '5', 0])
})

it('no path leads out of the folder', async () => {
  const place = await withFiles({ 'index.html': 'i' })
  for (const path of [
    '/../secret.txt',
    '/..%2fsecret.txt',
    '/%2e%2e/secret.txt',
    '/assets/../../secret.txt',
    '//etc/passwd',
    '/.',
    '/assets',
    '/assets/',
    '/index.html/',
    '/\\..\\secret.txt',
    '/index.html%00',
  ])
    expect(
      await raw(
        place.port,
        `GET ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${place.token}\r\nConnection: close\r\n\r\n`,
      ),
      path,
    ).toMatch(/^HTTP\/1.1 404 /)
  expect((await get(place, '/', { method: 'POST' })).status).toBe(405)
})

it('a page that was built again is sent as it is now', async () => {
  const { build, pageDir, ...place } = await withFiles({ 'index.html': 'old' })
  expect((await get(place, '/')).body.toString()).toBe('old')
  build({ 'index.html': 'new', 'assets/b-12345678.js': 'b' })
  utimesSync(join(pageDir, 'index.html'), 1, 2)
  expect((await get(place, '/')).body.toString()).toBe('new')
  expect((await get(place, '/assets/b-12345678.js')).status).toBe(200)
})

it('long answers of the API are compressed for those who take it', async () => {
  const place = await withFiles({})
  const { headers, body } = await get(place, '/api/v1/openapi.json', { headers: { 'accept-encoding': 'gzip' } })
  expect(headers['content-encoding']).toBe('gzip')
  expect(JSON.parse(gunzipSync(body).toString())).toMatchObject({ openapi: '3.1.0' })
  expect((await get(place, '/api/v1/openapi.json')).headers['content-encoding']).toBeUndefined()
})
