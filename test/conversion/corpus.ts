/** Texts on which tokenizers differ: prose, programs, every script, white space, special tokens. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { repositoryRoot } from '../support/source-files.ts'

const files = [
  'README.md',
  'ARCHITECTURE.md',
  'docs/engine-protocol.md',
  'src/main.ts',
  'engines/gbnf.ts',
  'engines/llamacpp/calls.ts',
  'engines/mlx/python/prefixd_mlx/convert/tokenizer.py',
]

/** Pieces that meet in ways that no author would think of. */
const pieces = [
  ...[
    ' ',
    '  ',
    '   ',
    '\n',
    '\n\n',
    '\r\n',
    '\t',
    '\u0000',
    '\u0085',
    '\u00a0',
    '\u200b',
    '\u3000',
  ],
  ...["'s", "'S", "'LL", "'re", "'", '’s', '12', '007', '٣', '½', 'Ⅷ', '²'],
  ...[
    'word',
    'Word',
    'WORD',
    'ß',
    'é',
    'e\u0301',
    'Ω',
    '日本',
    '한국',
    'हिन्दी',
    '👩‍👩‍👧',
    '🇩🇪',
    '\ud83d\ude00',
  ],
  ...[
    '_',
    '--',
    '...',
    '(',
    '{}',
    '</',
    '<|',
    '|>',
    '0xFF',
    '<|im_start|>',
    '<|im_end|>',
    '<file_sep>',
  ],
]

const blockLength = 64
const lastCodePoint = 0x2ffff

export function corpus(mixtures: number): string[] {
  const texts = files.map((file) => readFileSync(join(repositoryRoot, file), 'utf8'))
  return [...texts.flatMap((text) => [text, ...text.split('\n')]), ...scripts(), ...mixed(mixtures)]
}

/** Every character, beside its neighbours, and between a letter and a digit. */
function* scripts(): Generator<string> {
  for (let first = 0; first < lastCodePoint; first += blockLength) {
    // Halves of pairs are no text.
    if (first >= 0xd800 && first < 0xe000) continue
    const characters = Array.from({ length: blockLength }, (_, index) =>
      String.fromCodePoint(first + index),
    )
    yield characters.join('')
    yield characters.map((character) => `a ${character}9 `).join('')
  }
}

function* mixed(count: number): Generator<string> {
  let state = 1
  const next = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return (state >>> 8) % below
  }
  for (let made = 0; made < count; made += 1) {
    yield Array.from({ length: 1 + next(14) }, () => pieces[next(pieces.length)]).join('')
  }
}
