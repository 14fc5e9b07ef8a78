/** Every POST route of the server, with the schema that it holds bodies against. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { FastifyInstance } from 'fastify'
import { createServer } from '../../src/api/server.ts'
import type { Service } from '../../src/pipeline/types.ts'
import type { Schema } from './values.ts'

export interface PostRoute {
  readonly url: string
  readonly schema: Schema
}

/** Fastify tells of each new instance here, before a route is registered. */
const channel = 'fastify.initialization'

/** Its body is a file, which is no JSON and is read as it comes. */
const fileRoute = '/v1/cache/import'

/** It takes a body of any of these, and leaves it to them to look into it. */
const warmRoute = '/v1/cache/warm'
const dialectRoutes = ['/v1/chat/completions', '/v1/completions', '/v1/messages', '/v1/responses']

function withDialects(routes: readonly PostRoute[]): PostRoute[] {
  const anyOf = routes.filter(({ url }) => dialectRoutes.includes(url)).map((it) => it.schema)
  return routes.map((route) => (route.url === warmRoute ? { ...route, schema: { anyOf } } : route))
}

/** Asks the server itself, so that no new route is forgotten. Throws for one without a schema. */
export async function postRoutes(): Promise<PostRoute[]> {
  const routes: PostRoute[] = []
  const watch = (message: unknown): void => {
    const { fastify } = message as { fastify: FastifyInstance }
    fastify.addHook('onRoute', ({ method, url, schema }) => {
      if (![method].flat().includes('POST')) return
      if (url === fileRoute) return
      if (schema?.body === undefined) throw new Error(`POST ${url} has no schema for its body.`)
      routes.push({ url, schema: schema.body as Schema })
    })
  }
  subscribe(channel, watch)
  try {
    // It is never asked for an answer: only its routes are read.
    const server = createServer({} as Service)
    await server.ready()
    await server.close()
  } finally {
    unsubscribe(channel, watch)
  }
  return withDialects(routes)
}
