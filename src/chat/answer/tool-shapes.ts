/** Tools as clients send them → what a parser needs to know of them. */
import type { ToolShape } from './types.ts'

/** Reads `{type: "function", function: {…}}`, and the function alone; others have no name. */
export function toolShapesOf(tools: readonly unknown[] | undefined): ToolShape[] {
  return (tools ?? []).flatMap((tool) => {
    const { name, parameters } = functionOf(tool)
    return typeof name === 'string' ? [{ name, parameters }] : []
  })
}

interface FunctionWords {
  readonly name?: unknown
  readonly parameters?: unknown
}

function functionOf(tool: unknown): FunctionWords {
  if (typeof tool !== 'object' || tool === null) return {}
  const { function: inner } = tool as { function?: unknown }
  return typeof inner === 'object' && inner !== null ? inner : tool
}
