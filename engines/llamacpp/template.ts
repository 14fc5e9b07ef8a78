/** Renders a chat by the model's own Jinja template. */
import { Template } from '@huggingface/jinja'
import { EngineError } from '../errors.ts'
import type { RenderInput } from '../types.ts'

export interface TemplateSource {
  /** `tokenizer.chat_template`; null when the file has none. */
  readonly standard: string | null
  /** `tokenizer.chat_template.tool_use`, which some models have for requests with tools. */
  readonly toolUse: string | null
  readonly bosText: string
  readonly eosText: string
}

/** The returned function throws `PREFIXD_E_ENGINE_TEMPLATE` for what the template refuses. */
export function chatTemplate(source: TemplateSource): (input: RenderInput) => string {
  const standard = lazily(source.standard)
  const toolUse = lazily(source.toolUse)
  return (input) => {
    const hasTools = input.tools !== undefined && input.tools.length > 0
    const compile = hasTools ? (toolUse ?? standard) : standard
    if (compile === null) {
      throw templateError(
        'The model file has no chat template. Use /v1/completions with a prompt that you ' +
          'rendered yourself, or a model file with tokenizer.chat_template.',
      )
    }
    const template = compile()
    try {
      // Absent tools and documents are null, as in transformers: templates ask `is not none`.
      return template.render({
        documents: input.documents ?? null,
        bos_token: source.bosText,
        eos_token: source.eosText,
        ...input.templateArgs,
        messages: input.messages,
        tools: hasTools ? input.tools : null,
        add_generation_prompt: input.addGenerationPrompt,
      })
    } catch (cause) {
      throw templateError(
        `The model's chat template refuses these messages: ${(cause as Error).message}`,
        cause,
      )
    }
  }
}

function lazily(text: string | null): (() => Template) | null {
  if (text === null || text === '') return null
  let compiled: Template | null = null
  return () => {
    try {
      compiled ??= new Template(text)
      return compiled
    } catch (cause) {
      throw templateError(
        `The model's chat template cannot be read: ${(cause as Error).message}`,
        cause,
      )
    }
  }
}

function templateError(message: string, cause?: unknown): EngineError {
  return new EngineError('PREFIXD_E_ENGINE_TEMPLATE', message, cause === undefined ? {} : { cause })
}
