/**
 * Claude Code sends system messages behind the user's. Many templates write them, some refuse the
 * whole chat, and some leave them out without a word; so the template itself is asked, once.
 */
import type { Chat } from '../../chat/messages.ts'
import { kindOf } from '../../errors.ts'
import type { Service } from '../../pipeline/types.ts'
import type { CountTokensRequest } from './schema.ts'

export type LateSystemRole = 'system' | 'user'

export function hasLateSystem({ messages }: Pick<CountTokensRequest, 'messages'>): boolean {
  const first = messages.findIndex(({ role }) => role !== 'system')
  return first >= 0 && messages.slice(first).some(({ role }) => role === 'system')
}

const mark = 'prefixd asks'
const question: Chat['messages'] = [
  { role: 'user', content: 'Hello' },
  { role: 'system', content: mark },
]

/** Rejects as `render` does, unless it is the template that refuses. */
export function lateSystemRoles(
  service: Pick<Service, 'render'>,
): (model: string) => Promise<LateSystemRole> {
  const known = new Map<string, LateSystemRole>()
  return async (model) => {
    const role = known.get(model) ?? (await askTemplate(service, model))
    known.set(model, role)
    return role
  }
}

async function askTemplate(
  service: Pick<Service, 'render'>,
  model: string,
): Promise<LateSystemRole> {
  try {
    const text = await service.render(model, { messages: question, addGenerationPrompt: true })
    return text.includes(mark) ? 'system' : 'user'
  } catch (error) {
    if (kindOf(error).prefixdCode === 'PREFIXD_E_ENGINE_TEMPLATE') return 'user'
    throw error
  }
}
