/** Sends generated bodies to a running service and judges every reply. */
import type { Finding } from '../findings.ts'
import { type BodyCase, caseMaker } from './cases.ts'
import { postRoutes } from './routes.ts'
import { type Fault, judgeReply, type Reply } from './verdict.ts'

export interface BodiesOptions {
  readonly url: string
  readonly seed: number
  /** Index of the first body: with its own index and `count` 1 a failure is repeated. */
  readonly from: number
  readonly count: number
  readonly onProgress: (line: string) => void
}

type Failure = {
  readonly index: number
  readonly what: Fault | 'no answer'
  readonly found: string
  readonly sent: BodyCase
}

interface RouteTally {
  bodies: number
  answered: number
}

export interface BodiesReport {
  readonly bodies: number
  readonly failures: readonly Failure[]
  readonly routes: ReadonlyMap<string, RouteTally>
  /** Before the first body and behind the last one: what the service says of a plain question. */
  readonly answers: readonly [string, string]
  readonly restarts: number
}

const replyMs = 60_000
const progressEvery = 1000
const failuresMax = 20
const shownCharacters = 600
/** Of a route: so few may all be refused. */
const fewBodies = 20

/** Stops after twenty failures. Rejects where the service does not answer a plain question. */
export async function proveBodies(options: BodiesOptions): Promise<BodiesReport> {
  const { url, seed, from, count, onProgress } = options
  const routes = await postRoutes()
  const makeCase = caseMaker(routes)
  const tallies = new Map(routes.map((route) => [route.url, { bodies: 0, answered: 0 }]))
  const failures: Failure[] = []
  const before = await askPlainly(url)
  let bodies = 0
  while (bodies < count && failures.length < failuresMax) {
    const index = from + bodies
    bodies += 1
    const sent = makeCase(seed, index)
    const tally = tallies.get(sent.route) as RouteTally
    tally.bodies += 1
    const failure = await sendOne(url, sent, tally)
    if (failure !== null) {
      failures.push({ index, sent, ...failure })
      onProgress(describe(failures.at(-1) as Failure, seed))
    }
    if (bodies % progressEvery === 0) onProgress(`${bodies} of ${count} bodies`)
  }
  return {
    bodies,
    failures,
    routes: tallies,
    answers: [before, await askPlainly(url)],
    restarts: await restartsOf(url),
  }
}

async function sendOne(
  url: string,
  sent: BodyCase,
  tally: RouteTally,
): Promise<Pick<Failure, 'what' | 'found'> | null> {
  let reply: Reply
  try {
    const { route, headers, body } = sent
    const signal = AbortSignal.timeout(replyMs)
    const response = await fetch(url + route, {
      method: 'POST',
      headers: encoded(headers),
      body: new Uint8Array(body),
      signal,
    })
    reply = { status: response.status, headers: response.headers, text: await response.text() }
  } catch (error) {
    const cause = error instanceof Error && error.cause ? ` (${String(error.cause)})` : ''
    return { what: 'no answer', found: `${String(error)}${cause}` }
  }
  // A model without embeddings has answered, too, and so has who knows no such session or prefix.
  if ([200, 404, 501].includes(reply.status) && !isOfNoModel(reply)) tally.answered += 1
  const { fault, found } = judgeReply(sent, reply)
  return fault === null ? null : { what: fault, found }
}

/** Was a model asked for that is not served? */
const isOfNoModel = ({ headers }: Reply): boolean =>
  headers.get('x-prefixd-error') === 'PREFIXD_E_MODEL_NOT_FOUND'

/** Headers are bytes; what is not Latin-1 travels as its UTF-8. */
const encoded = (headers: BodyCase['headers']): [string, string][] =>
  Object.entries(headers).map(([name, value]) => [name, Buffer.from(value).toString('latin1')])

function describe({ index, what, found, sent }: Failure, seed: number): string {
  const body = sent.body.toString('utf8')
  return [
    `${what}: --seed ${seed} --from ${index} --count 1 (${sent.kind} body of ${sent.route})`,
    `  ${JSON.stringify(sent.headers)} ${cut(body)}`,
    `  ${cut(found)}`,
  ].join('\n')
}

const cut = (text: string): string =>
  text.length > shownCharacters
    ? `${text.slice(0, shownCharacters)}… (${text.length} characters)`
    : text

async function askPlainly(url: string): Promise<string> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      messages: [{ role: 'user', content: 'Are you still there?' }],
      temperature: 0,
      max_tokens: 24,
    }),
    signal: AbortSignal.timeout(replyMs),
  })
  const body = (await response.json()) as { choices?: [{ message: { content: string } }] }
  const answer = body.choices?.[0].message.content
  if (answer === undefined) throw new Error(`a plain question got ${JSON.stringify(body)}`)
  return answer
}

async function restartsOf(url: string): Promise<number> {
  const response = await fetch(`${url}/v1/workers`)
  const { data } = (await response.json()) as { data: readonly { restarts: number }[] }
  return data.reduce((sum, { restarts }) => sum + restarts, 0)
}

export function bodiesFindings(report: BodiesReport): Finding[] {
  const { bodies, failures, routes, answers, restarts } = report
  const among = (...kinds: readonly Failure['what'][]) =>
    failures.filter(({ what }) => kinds.includes(what)).length
  const none = (claim: string, ...kinds: readonly Failure['what'][]): Finding => ({
    claim,
    holds: among(...kinds) === 0,
    found: `${among(...kinds)} of ${bodies}`,
  })
  const tallies = [...routes].map(
    ([route, { bodies: sent, answered }]) => `${route} ${answered}/${sent}`,
  )
  return [
    none('no body is answered with 500', 'answered 5xx'),
    none('every error is typed, in the dialect of its route', 'error without its type'),
    none('every stream ends with its last event', 'stream without its end'),
    none('every other answer is JSON', 'no JSON'),
    none('every body is answered', 'no answer'),
    { claim: 'no worker died', holds: restarts === 0, found: `${restarts} restarts` },
    {
      claim: 'afterwards the service answers as before',
      holds: answers[0] === answers[1],
      found: answers[0] === answers[1] ? 'the same answer' : answers.join(' / '),
    },
    // Else the bodies have only shown that schemas refuse junk.
    {
      claim: 'bodies of every route were good enough to be answered',
      holds: [...routes].every(
        ([, { bodies: sent, answered }]) => sent < fewBodies || answered > 0,
      ),
      found: tallies.join(', '),
    },
  ]
}
