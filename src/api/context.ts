/** What every route needs, and the type of the server that the routes are added to. */
import type { Server as HttpServer, IncomingMessage, ServerResponse } from 'node:http'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { Limits } from '../config/limits.ts'
import type { ReasoningField } from '../config/schema.ts'
import type { Service } from '../pipeline/types.ts'
import type { OpenAnswers } from './client.ts'

export type Server = FastifyInstance<
  HttpServer,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>

export type ApiLimits = { readonly [K in keyof Limits]: number }

export interface ApiContext {
  readonly service: Service
  readonly limits: ApiLimits
  readonly answers: OpenAnswers
  /** Names of the normalisers of chats that are on. */
  readonly hygiene: readonly string[]
  /** What chat completions call reasoning; the specification has no word for it. */
  readonly reasoningField: ReasoningField
}
