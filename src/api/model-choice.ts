/** The model that a request names; never another one instead. */
import { PrefixdError, shown } from '../errors.ts'
import type { ModelCard, Service } from '../pipeline/types.ts'

/**
 * By id or alias. A request without a name gets the first one: llama-server's clients leave it out.
 * Throws `PREFIXD_E_MODEL_NOT_FOUND`.
 */
export function chooseModel(
  cards: readonly ModelCard[],
  name: string | null | undefined,
): ModelCard {
  const served = cards.map((card) => card.id).join(', ') || 'none'
  const card =
    name === null || name === undefined
      ? cards[0]
      : cards.find((each) => each.id === name || each.aliases.includes(name))
  if (card) return card
  throw new PrefixdError(
    'PREFIXD_E_MODEL_NOT_FOUND',
    `There is no model "${shown(name ?? '')}" here.`,
    { field: 'model', next: `Served: ${served}.` },
  )
}

/**
 * The engine's build as OpenAI's field. It is known when the model is loaded, which requests may
 * wait for: an answer asks for it when it is written, never when its request comes.
 */
export function systemFingerprint(service: Service, id: string): { system_fingerprint?: string } {
  const info = service.models().find((card) => card.id === id)?.info ?? null
  return info === null ? {} : { system_fingerprint: info.fingerprint.build }
}
