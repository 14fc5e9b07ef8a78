/** `GET /health`: can this service answer a request now? */
import { PrefixdError } from '../../errors.ts'
import type { ModelCard } from '../../pipeline/types.ts'
import type { ApiContext, Server } from '../context.ts'

export function healthRoutes(server: Server, { service }: ApiContext): void {
  const health = async () => {
    const cards = service.models()
    if (!cards.some((card) => card.state === 'ready')) throw notReady(cards)
    const failed = cards.filter((card) => card.state === 'failed')
    const disk = service.budgets.disk()?.state ?? 'enough'
    if (failed.length === 0 && disk === 'enough') return { status: 'ok' }
    return {
      status: 'degraded',
      // Requests for a model that is loaded wait for it; those for a failed one are refused.
      ...(failed.length === 0 ? {} : { models: failed.map(({ id, state }) => ({ id, state })) }),
      // Requests are answered all the same; what they have computed may not outlive a restart.
      ...(disk === 'enough' ? {} : { disk }),
    }
  }
  // Whoever only asks whether the service lives has no key: load balancers, containers.
  const config = { isOpen: true }
  server.get('/health', { config }, health)
  server.get('/v1/health', { config }, health)
}

/** One model that answers is enough; requests for the others get their own error. */
function notReady(cards: readonly ModelCard[]): PrefixdError {
  const is = (state: ModelCard['state']) => cards.some((card) => card.state === state)
  if (is('starting')) {
    return new PrefixdError('PREFIXD_E_ENGINE_LOADING', 'The model is being loaded.')
  }
  if (is('restarting')) {
    return new PrefixdError('PREFIXD_E_ENGINE_DIED', 'The worker died and is being restarted.')
  }
  if (is('failed')) {
    return new PrefixdError('PREFIXD_E_ENGINE_FAILED', 'The worker failed, and is not running.', {
      next: 'GET /v1/workers has its last error; a request starts it again, where it can.',
    })
  }
  return new PrefixdError('PREFIXD_E_ENGINE_STOPPING', 'The service is stopping.')
}
