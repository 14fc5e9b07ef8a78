/** A client's own GBNF inside of a larger one: its `root` gets another name. Pure. */

/** What could hold the word without meaning the rule: texts, classes and comments. */
const tokens = /"(?:\\.|[^"\\])*"|\[(?:\\.|[^\]\\])*\]|#[^\n]*|[a-zA-Z0-9-]+/g

export const givenRoot = 'given-root'

/** Lines stay where they are, so that errors name the client's own. */
export const renameRoot = (grammar: string): string =>
  grammar.replace(tokens, (token) => (token === 'root' ? givenRoot : token))
