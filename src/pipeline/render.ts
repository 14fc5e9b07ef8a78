/** A chat is rendered by the worker's own template, in the words that this template reads. */
import type { Engine, ModelInfo, RenderInput } from '../../engines/types.ts'
import { answerFormatOf } from '../chat/answer/format.ts'
import { fitToTemplate, needsFitting } from '../chat/template/fit.ts'
import { cutAtMark, withMark } from '../chat/template/go-on.ts'
import { learnHabits, type TemplateHabits } from '../chat/template/habits.ts'
import { PrefixdError } from '../errors.ts'
import { requireText } from './capabilities.ts'
import type { ChatInput } from './types.ts'

/** A worker that comes back has the same template, or it is not used. */
const known = new WeakMap<Engine, Promise<TemplateHabits>>()

/**
 * Asks the template for its habits once, when a chat first has tools, calls or reasoning. Throws
 * `PREFIXD_E_UNSUPPORTED_PARAMETER` for what this template would leave out of the prompt.
 */
export async function render(engine: Engine, info: ModelInfo, chat: ChatInput): Promise<string> {
  const { goesOn = false, breakpoints: _, ...input } = chat
  requireText(info)
  if ((input.documents?.length ?? 0) > 0 && !/\bdocuments\b/.test(info.chatTemplate ?? '')) {
    throw unwritten('documents', 'Write their text into a message.')
  }
  if (!goesOn) return renderFitted(engine, info, input)
  const prompt = cutAtMark(await renderFitted(engine, info, withMark(input)))
  if (prompt !== null) return prompt
  throw unwritten('The beginning of an answer', 'End with a message of the user.', 'messages')
}

async function renderFitted(engine: Engine, info: ModelInfo, input: RenderInput): Promise<string> {
  if (!needsFitting(input)) return engine.render(input)
  const format = answerFormatOf(info.chatTemplate)
  return engine.render(fitToTemplate(input, await habitsOf(engine), format))
}

function habitsOf(engine: Engine): Promise<TemplateHabits> {
  const habits = known.get(engine) ?? learnHabits((input) => engine.render(input))
  known.set(engine, habits)
  // A worker that died while it was asked is asked again.
  habits.catch(() => known.delete(engine))
  return habits
}

const unwritten = (what: string, next: string, field = what): PrefixdError =>
  new PrefixdError(
    'PREFIXD_E_UNSUPPORTED_PARAMETER',
    `${what} cannot be written by this model's chat template.`,
    { field, next },
  )
