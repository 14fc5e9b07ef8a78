/**
 * Claude Code's system prompt begins with
 * `x-anthropic-billing-header: cc_version=2.1.330.41e; cc_entrypoint=cli; …`. The digits behind the
 * version follow the first words of the user, so two sessions share nothing behind it; and it says
 * nothing to the model.
 */
import type { Normaliser } from './normaliser.ts'

/** One line, exactly of this form: whatever else begins like it stays. */
const line =
  /^x-anthropic-billing-header: cc_version=[\w.+-]{1,64};(?: [a-z_]{1,32}=[^;\s]{0,128};?)*[ \t]*/

export const claudeCodeBilling: Normaliser = {
  name: 'claude-code-billing',
  roles: ['system', 'developer'],
  clean(text) {
    const [found] = line.exec(text) ?? []
    if (found === undefined) return text
    const rest = text.slice(found.length)
    if (rest === '') return ''
    const [lineEnd] = /^(?:\r?\n)+/.exec(rest) ?? []
    return lineEnd === undefined ? text : rest.slice(lineEnd.length)
  },
}
