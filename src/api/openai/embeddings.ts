/** `POST /v1/embeddings`: one vector for each text, as numbers or as their bytes in base64. */
import type OpenAI from 'openai'
import { type Static, Type } from 'typebox'
import { limits } from '../../config/limits.ts'
import { PrefixdError } from '../../errors.ts'
import type { EmbedPrompt } from '../../pipeline/types.ts'
import type { ApiContext, Server } from '../context.ts'
import { chooseModel } from '../model-choice.ts'
import { ModelName, maybe, tokenArray } from './schema.ts'

/** As OpenAI's: a vector of nothing would look like one. */
const Text = Type.String({ minLength: 1 })

const EmbeddingsSchema = Type.Object({
  model: maybe(ModelName),
  input: Type.Union(
    [
      Text,
      Type.Array(Text, { minItems: 1, maxItems: limits.embeddingInputs }),
      tokenArray,
      Type.Array(tokenArray, { minItems: 1, maxItems: limits.embeddingInputs }),
    ],
    {
      description:
        'a string, an array of strings, an array of token ids, or an array of such arrays ' +
        `(${limits.embeddingInputs} texts at most, none of them without tokens)`,
    },
  ),
  encoding_format: maybe(Type.Enum(['float', 'base64'])),
  dimensions: maybe(Type.Integer({ minimum: 1 })),
})
type EmbeddingsRequest = Static<typeof EmbeddingsSchema>

interface NamedText {
  readonly field: string
  readonly prompt: EmbedPrompt
}

/** As OpenAI's, where the SDK asks for base64 by itself and gives numbers to its caller. */
type EmbeddingJson = Omit<OpenAI.Embedding, 'embedding'> & {
  readonly embedding: number[] | string
}
type EmbeddingsJson = Omit<OpenAI.CreateEmbeddingResponse, 'data'> & {
  readonly data: EmbeddingJson[]
}

export function embeddingRoutes(server: Server, { service, answers }: ApiContext): void {
  server.post('/v1/embeddings', { schema: { body: EmbeddingsSchema } }, async (request, reply) => {
    const { input, model: name, dimensions, encoding_format: format } = request.body
    const { id: model } = chooseModel(service.models(), name)
    const { signal } = answers.follow(reply.raw)
    const data: EmbeddingJson[] = []
    let promptTokens = 0
    for (const [index, { prompt, field }] of textsOf(input).entries()) {
      signal.throwIfAborted()
      const embedded = await service.embed(model, prompt, field)
      checkDimensions(dimensions, embedded.vector.length)
      promptTokens += embedded.promptTokens
      data.push({ object: 'embedding', index, embedding: encode(embedded.vector, format) })
    }
    const usage = { prompt_tokens: promptTokens, total_tokens: promptTokens }
    return { object: 'list', data, model, usage } satisfies EmbeddingsJson
  })
}

function textsOf(input: EmbeddingsRequest['input']): readonly NamedText[] {
  const single = (prompt: EmbedPrompt) => [{ field: 'input', prompt }]
  if (typeof input === 'string') return single({ kind: 'text', text: input })
  if (isTokens(input)) return single({ kind: 'tokens', tokens: Uint32Array.from(input) })
  return input.map((each, index) => ({
    field: `input[${index}]`,
    prompt:
      typeof each === 'string'
        ? { kind: 'text', text: each }
        : { kind: 'tokens', tokens: Uint32Array.from(each) },
  }))
}

const isTokens = (input: readonly (string | number | number[])[]): input is readonly number[] =>
  typeof input[0] === 'number'

/** Only models that were trained for it can be cut, and their files do not say so. */
function checkDimensions(wanted: number | null | undefined, size: number): void {
  if (wanted == null || wanted === size) return
  throw new PrefixdError(
    'PREFIXD_E_UNSUPPORTED_PARAMETER',
    `dimensions must be ${size}, or be left out: the vectors of this model are not cut.`,
    { field: 'dimensions', next: 'Cut and normalise them yourself if the model is meant for it.' },
  )
}

/** F32, little-endian, as the machines that this runs on have it. */
function encode(vector: Float32Array, format: EmbeddingsRequest['encoding_format']) {
  if (format !== 'base64') return [...vector]
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64')
}
