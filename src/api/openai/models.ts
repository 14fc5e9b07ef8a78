/** `GET /v1/models` and `/v1/models/{id}`, in the shape of the client's dialect. */
import type OpenAI from 'openai'
import type { ModelCard } from '../../pipeline/types.ts'
import { speaksAnthropic } from '../anthropic/errors.ts'
import { toAnthropicModel, toAnthropicModels } from '../anthropic/models.ts'
import type { ApiContext, Server } from '../context.ts'
import { chooseModel } from '../model-choice.ts'

type ModelPage = Pick<OpenAI.ModelsPage, 'object' | 'data'>

/** `meta` has llama-server's names, `max_model_len` is vLLM's; both are null until it is loaded. */
function toModel({ id, aliases, createdAtMs, state, info }: ModelCard) {
  return {
    id,
    object: 'model',
    created: Math.floor(createdAtMs / 1000),
    owned_by: 'prefixd',
    aliases: aliases.filter((alias) => alias !== id),
    state,
    max_model_len: info?.contextTokens ?? null,
    meta: info && {
      n_ctx: info.contextTokens,
      n_ctx_train: info.trainedContextTokens,
      n_vocab: info.vocabularySize,
      n_params: info.parameterCount,
      size: info.weightsBytes,
    },
  } satisfies OpenAI.Model & Record<string, unknown>
}

export function modelRoutes(server: Server, { service }: ApiContext): void {
  server.get('/v1/models', async (request) => {
    const cards = service.models()
    if (speaksAnthropic(request)) return toAnthropicModels(cards)
    return { object: 'list', data: cards.map(toModel) } satisfies ModelPage
  })
  // A wildcard, because a model's name may have slashes in it.
  server.get<{ Params: { '*': string } }>('/v1/models/*', async (request) => {
    const card = chooseModel(service.models(), request.params['*'])
    return speaksAnthropic(request) ? toAnthropicModel(card) : toModel(card)
  })
}
