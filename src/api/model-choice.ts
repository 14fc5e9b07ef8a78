/** The model that a request names. Never another one instead. */
import { PrefixdError } from '../errors.ts'
import type { ModelCard } from '../pipeline/types.ts'

/**
 * By id or alias. A request without a name gets the only model there is (llama-server's clients
 * leave it out). Throws `PREFIXD_E_MODEL_NOT_FOUND`, or `PREFIXD_E_INVALID_VALUE` when a name is
 * needed.
 */
export function chooseModel(
  cards: readonly ModelCard[],
  name: string | null | undefined,
): ModelCard {
  const served = cards.map((card) => card.id).join(', ') || 'none'
  if (name === null || name === undefined) {
    const [only, ...others] = cards
    if (only && others.length === 0) return only
    throw new PrefixdError('PREFIXD_E_INVALID_VALUE', 'model is missing.', {
      field: 'model',
      next: `Name one of: ${served}.`,
    })
  }
  const card = cards.find((each) => each.id === name || each.aliases.includes(name))
  if (card) return card
  throw new PrefixdError(
    'PREFIXD_E_MODEL_NOT_FOUND',
    `There is no model "${name.slice(0, 100)}" here.`,
    { field: 'model', next: `Served: ${served}.` },
  )
}
