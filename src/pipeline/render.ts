/** A chat is rendered by the worker's own template, in the words that this template reads. */
import type { Engine, ModelInfo, RenderInput } from '../../engines/types.ts'
import { answerFormatOf } from '../chat/answer/format.ts'
import { fitToTemplate, needsFitting } from '../chat/template/fit.ts'
import { learnHabits, type TemplateHabits } from '../chat/template/habits.ts'

/** A worker that comes back has the same template, or it is not used. */
const known = new WeakMap<Engine, Promise<TemplateHabits>>()

/** Asks the template for its habits once, when a chat first has tools, calls or reasoning. */
export async function render(engine: Engine, info: ModelInfo, input: RenderInput): Promise<string> {
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
