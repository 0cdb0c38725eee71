import { join } from 'node:path'
import { expect, it } from 'vitest'
import { spanBytes } from '../../bench/load/page-spans.ts'
import { FilledJournal } from '../support/filled-journal.ts'
import { get, serve } from '../support/page.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

const SPANS = 22_000

async function served(): Promise<Awaited<ReturnType<typeof serve>>> {
  const stateDir = temporaryDirectory()
  const { journal } = new FilledJournal({ run: '01A' }, join(stateDir, '01A.sqlite'))
  const all = Array.from({ length: SPANS }, (_, i) => spanBytes(i))
  let end = 0
  journal.addHead(0, new Uint8Array(), new Uint8Array())
  const ends = Uint32Array.from(all, ({ length }) => (end += length))
  journal.addSpans({ bytes: new Uint8Array(Buffer.concat(all)), ends, heads: new Uint32Array(SPANS) })
  journal.commit()
  return serve(stateDir)
}

it('others are answered while the time of each step is being added up', async () => {
  const place = await served()
  const long = get(place, '/api/v1/runs/01A/steps?buckets=10')
  const state = { isDone: false }
  void long.finally(() => (state.isDone = true))
  let others = 0
  while (!state.isDone) {
    expect((await get(place, '/api/v1/state')).status).toBe(200)
    others += 1
  }
  expect((await long).status).toBe(200)
  // One may come before the long one, and one waits for its end, where it is made at once.
  expect(others).toBeGreaterThan(2)
})

it('an answer is made anew where its run was closed in the middle of it', async () => {
  const place = await served()
  const long = get(place, '/api/v1/runs/01A/steps?buckets=10')
  for (let closed = 0; closed < 3; closed += 1) {
    await get(place, '/api/v1/state')
    place.store.close()
  }
  const { json } = await long
  expect([json.counted, json.total, json.names[0].name]).toEqual([SPANS, SPANS, expect.any(String)])
  expect(place.faults).toEqual([])
})
