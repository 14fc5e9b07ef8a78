/** `/tokenize`, `/detokenize`, `/apply-template`, in the shapes of llama-server. */
import { Type } from 'typebox'
import { limits } from '../../config/limits.ts'
import { readChatPrompt } from '../chat-prompt.ts'
import type { ApiContext, Server } from '../context.ts'
import { chooseModel } from '../model-choice.ts'
import { withoutLegacy } from '../openai/legacy.ts'
import { readChat } from '../openai/request.ts'
import { ApplyTemplateSchema, ModelName } from '../openai/schema.ts'

const TokenizeSchema = Type.Object({
  model: Type.Optional(ModelName),
  content: Type.String(),
  add_special: Type.Optional(Type.Boolean()),
  parse_special: Type.Optional(Type.Boolean()),
  with_pieces: Type.Optional(Type.Boolean()),
})

const DetokenizeSchema = Type.Object({
  model: Type.Optional(ModelName),
  tokens: Type.Array(Type.Integer({ minimum: 0, maximum: 2 ** 32 - 1 }), {
    maxItems: limits.contextTokensMax,
  }),
})

/** A piece may be a part of a character; then it is given as its bytes, as llama-server does. */
function toPiece(bytes: Uint8Array): string | number[] {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return [...bytes]
  }
}

export function tokenRoutes(server: Server, context: ApiContext): void {
  const { service } = context
  const modelOf = (body: { model?: string | null }) => chooseModel(service.models(), body.model).id

  server.post('/tokenize', { schema: { body: TokenizeSchema } }, async ({ body }) => {
    const model = modelOf(body)
    const tokens = await service.tokenize(model, body.content, {
      addSpecial: body.add_special ?? false,
      parseSpecial: body.parse_special ?? true,
    })
    if (!body.with_pieces) return { tokens: [...tokens] }
    const pieces = await service.pieces(model, tokens)
    return { tokens: pieces.map((piece, index) => ({ id: tokens[index], piece: toPiece(piece) })) }
  })

  server.post('/detokenize', { schema: { body: DetokenizeSchema } }, async ({ body }) => ({
    content: await service.detokenize(modelOf(body), Uint32Array.from(body.tokens)),
  }))

  server.post('/apply-template', { schema: { body: ApplyTemplateSchema } }, async (request) => {
    const { prompt } = readChatPrompt(readChat(withoutLegacy(request.body)), context, request)
    return { prompt: await service.render(modelOf(request.body), prompt.input) }
  })
}
