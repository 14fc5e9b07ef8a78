/** One request of the proof: a route, headers, and a body that is whole, wrong or broken. */
import fc from 'fast-check'
import { damagedText, noisyBytes, textOf } from './damage.ts'
import type { PostRoute } from './routes.ts'
import { type Json, valuesOf } from './values.ts'

export type CaseKind = 'whole' | 'damaged' | 'noisy' | 'mislabelled'

export interface BodyCase {
  readonly route: string
  readonly kind: CaseKind
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

const otherTypes = [
  ...['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', '*/*'],
  ...['application/json; charset=utf-16', 'application/jsonp', 'json', ';', 'application/xml'],
]

const header = (name: string, ...values: readonly string[]) =>
  fc.constantFrom(...values).map((value) => ({ [name]: value }))

/** Most requests have none of them. */
const extraHeaders = fc.oneof(
  { weight: 12, arbitrary: fc.constant({}) },
  { weight: 1, arbitrary: header('anthropic-version', '2023-06-01') },
  {
    weight: 1,
    arbitrary: header('x-prefixd-cache', 'no-write', 'no-read, pin', 'ttl=3600', 'ttl=1e9', ', ='),
  },
  { weight: 1, arbitrary: header('x-prefixd-hygiene', 'off', 'on', '') },
  { weight: 1, arbitrary: header('x-session-id', 's1', 'é'.repeat(9), 'x'.repeat(2000)) },
)

const json = 'application/json'

function casesOf({ url, schema }: PostRoute): fc.Arbitrary<BodyCase> {
  const bodies: fc.Arbitrary<Json> = valuesOf(schema)
  const texts = bodies.map(textOf)
  const bytes = texts.map((text) => Buffer.from(text))
  const build = (
    kind: CaseKind,
    body: fc.Arbitrary<Buffer>,
    type: fc.Arbitrary<string> = fc.constant(json),
  ) =>
    fc.tuple(body, type, extraHeaders).map(([found, contentType, headers]) => ({
      route: url,
      kind,
      headers: { ...headers, 'content-type': contentType },
      body: found,
    }))
  return fc.oneof(
    { weight: 6, arbitrary: build('whole', bytes) },
    {
      weight: 8,
      arbitrary: build(
        'damaged',
        damagedText(bodies).map((text) => Buffer.from(text)),
      ),
    },
    { weight: 5, arbitrary: build('noisy', noisyBytes(texts)) },
    { weight: 1, arbitrary: build('mislabelled', bytes, fc.constantFrom(...otherTypes)) },
  )
}

/** The same seed and index give the same case; routes take turns. */
export function caseMaker(routes: readonly PostRoute[]): (seed: number, index: number) => BodyCase {
  const arbitraries = routes.map(casesOf)
  return (seed, index) => {
    const arbitrary = arbitraries[index % arbitraries.length]
    if (arbitrary === undefined) throw new RangeError('there are no routes')
    const [found] = fc.sample(arbitrary, { seed: Math.imul(seed, 0x9e3779b1) ^ index, numRuns: 1 })
    return found as BodyCase
  }
}
