/** Text that reads like what agents send: prose, logs and code, made by rule from a seed. Pure. */
import { createRandom, type Random } from './random.ts'

const subjects = ['The pump', 'Her brother', 'A second reader', 'The parser', 'This function']
const verbs = ['forgets', 'measured', 'would not open', 'rewrites', 'depends on', 'looked for']
const objects = ['the old harbour', 'every third line', 'a cache of maps', 'its own tests', 'rain']
const ends = ['because nobody asked', 'after midnight', 'as the report says', 'without a reason']
const files = ['config.ts', 'main.py', 'notes.md', 'valve.c', 'index.html']
const levels = ['info', 'warn', 'error']

const sentence = ({ pick }: Random): string =>
  `${pick(subjects)} ${pick(verbs)} ${pick(objects)} ${pick(ends)}. `

const logLine = ({ pick, integer }: Random): string =>
  `\n${integer(10, 23)}:${integer(10, 59)} ${pick(levels)} ${pick(files)}: ${integer(1, 9999)} ms`

const codeLine = ({ pick, integer }: Random): string =>
  `\n  if (read('${pick(files)}') > ${integer(2, 500)}) return ${pick(['null', 'true', '"done"'])}`

/** At least `characters` long; it begins with the seed, so that no two seeds share a beginning. */
export function naturalText(seed: number, characters: number): string {
  const random = createRandom(seed)
  let text = `Report ${seed}, page ${random.integer(1, 400)}. `
  while (text.length < characters) {
    text += random.pick([sentence, sentence, sentence, logLine, codeLine])(random)
  }
  return text
}
