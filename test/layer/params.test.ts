import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isSecret, REDACTED } from '../../src/layer/params.ts'
import { extract, triples } from '../support/extract.ts'

const params = (fields: string): Record<string, string> =>
  Object.fromEntries(extract(`{"message":"config_trace",${fields}}\n`).params)

describe('configuration', () => {
  it('is flattened, with numbers as they were written', () => {
    expect(
      params(
        '"lr":2e-05,"big":18446744073709551615,"opt":{"name":"adamw","betas":[0.9,0.95],"none":null},"on":true,"empty":{}',
      ),
    ).toEqual({
      lr: '2e-05',
      big: '18446744073709551615',
      'opt/name': 'adamw',
      'opt/betas': '[0.9,0.95]',
      'opt/none': 'null',
      on: 'true',
      empty: '{}',
    })
  })

  it('counts its numbers as config and makes no points of them', () => {
    const found = extract('{"message":"startup","step":1,"lr":0.1,"opt":{"eps":1}}\n')
    expect([triples(found), found.counts['skipped.config']]).toEqual([[], 2])
  })

  it('is found in message, msg and event', () => {
    for (const name of ['message', 'msg', 'event'])
      expect(extract(`{"${name}":"startup","lr":1,"level":"info"}\n`).params).toEqual([['lr', '1']])
  })

  it('never shows a secret, in whatever place it stands', () => {
    const secret = 'sk-0123456789abcdef'
    const shown = params(
      `"password":"x","db":{"secretName":"y","apiKey":"${secret}"},"hf_token":"${secret}","list":[{"api_key":"${secret}"}],"eos_token":"</s>","max_tokens":4096,"tokenizer":"gpt2-tokenizer-of-a-long-name"`,
    )
    expect(JSON.stringify(shown)).not.toContain(secret)
    expect(shown).toMatchObject({
      password: REDACTED,
      'db/secretName': REDACTED,
      'db/apiKey': REDACTED,
      hf_token: REDACTED,
      eos_token: '</s>',
      max_tokens: '4096',
      tokenizer: 'gpt2-tokenizer-of-a-long-name',
    })
  })

  it('knows a secret by the words of its name, however they are joined', () => {
    const joined = fc.constantFrom(
      '{}_password',
      'Password',
      'my-{}.secret',
      'credentials/{}',
      'dbPassword',
      '{}_API_KEY',
      'accessToken',
      'OPENAIKey',
    )
    fc.assert(
      fc.property(joined, fc.stringMatching(/^[a-z]{1,8}$/), (name, word) =>
        isSecret(name.replace('{}', word), 'a-text-of-sixteen-or-more'),
      ),
    )
    for (const name of ['tokens', 'keyboard', 'key_size_bits', 'tokenizer', 'monkey'])
      expect(isSecret(name, 'a-text-of-sixteen-or-more')).toBe(false)
  })
})
