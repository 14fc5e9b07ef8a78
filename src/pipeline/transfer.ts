/** Prefixes on their way to and from other services: whose they are, and who may bring them. */
import {
  type Cache,
  describeBlocks,
  type ExportHeader,
  exportBlocks,
  type Imported,
  importBlocks,
  openSigner,
  trustedSigners,
} from '../../cache/index.ts'
import type { ModelInfo } from '../../engines/index.ts'
import { limits } from '../config/limits.ts'
import { PrefixdError } from '../errors.ts'
import { findPrefix } from './find-prefix.ts'
import { mismatches, readNote } from './namespace-note.ts'
import type { ServedModel } from './served-model.ts'
import type { ImportOptions, ImportReport, Mismatch, Transfer } from './types.ts'

export interface TransferContext {
  readonly cache: Cache
  readonly models: readonly ServedModel[]
  /** Where the signing key is, and the list of signers that are trusted. */
  readonly directory: string
  readonly version: string
}

export function createTransfer(context: TransferContext): Transfer {
  const { cache, directory } = context
  return {
    exportPrefixes(ids) {
      const { blocks, header } = chosen(context, ids)
      const signer = openSigner(directory)
      const { verifyYieldMs: yieldMs } = limits
      return exportBlocks(cache.upkeep, { blocks, header, signer, yieldMs })
    },
    async importPrefixes(chunks, options) {
      const imported = await importBlocks(cache.upkeep, {
        chunks,
        accept: async (header) => {
          checkSigner(header, directory, options)
          const { model, info } = await matching(context, header)
          const namespace = model.namespaceFor(info, options.owner)
          return { namespace, layout: info.layout }
        },
        yieldMs: limits.verifyYieldMs,
        roomMs: limits.importRoomMs,
      })
      return reportOf(imported)
    },
  }
}

/** Everything of these prefixes, each block behind its parent. */
function chosen({ cache, version }: TransferContext, ids: readonly string[]) {
  const leaves = ids.map((id) => findPrefix(cache.index, id, 'ids'))
  const namespaces = new Set(leaves.map((leaf) => leaf.namespace))
  const [namespace] = namespaces
  if (namespace === undefined || namespaces.size > 1) {
    throw new PrefixdError(
      'PREFIXD_E_INVALID_VALUE',
      'ids must name prefixes of one model and one tenant; these are of several.',
      { field: 'ids', next: 'Export each model and tenant into a file of its own.' },
    )
  }
  const note = readNote(cache.notes.get(namespace))
  if (note?.weightsDigest === undefined) {
    throw new PrefixdError(
      'PREFIXD_E_INVALID_VALUE',
      'It is not known which weights have computed these prefixes: an older version stored them.',
      { field: 'ids', next: 'Send their model a request with the same key, then export again.' },
    )
  }
  const { model, fingerprint, weightsDigest, kinds } = note
  const members = leaves.flatMap((leaf) => describeBlocks(cache.index, leaf, kinds))
  const blocks = [...new Set(members.map(({ block }) => block))].sort((a, b) => a.index - b.index)
  const { blockTokens } = cache
  const header: Omit<ExportHeader, 'signer'> = {
    model,
    namespace,
    fingerprint,
    weightsDigest,
    blockTokens,
    kinds,
    writtenBy: `prefixd ${version}`,
    writtenAtMs: Date.now(),
  }
  return { blocks, header }
}

/** Whose bytes the engine is given must be known: a wrong state gives wrong answers. */
function checkSigner({ signer }: ExportHeader, directory: string, { trust }: ImportOptions): void {
  const isKnown = signer === openSigner(directory).name || trustedSigners(directory).has(signer)
  if (trust || isKnown) return
  throw new PrefixdError(
    'PREFIXD_E_IMPORT_SIGNER',
    `The file was signed with a key that is not known here: ${signer}.`,
    {
      field: 'trust',
      next:
        'Add that line to the file trusted-signers in the service’s directory, or import with ' +
        '--trust (trust=true) this time.',
    },
  )
}

interface Match {
  readonly model: ServedModel
  readonly info: ModelInfo
}

/** The served model that would have computed the same bytes. */
async function matching(context: TransferContext, header: ExportHeader): Promise<Match> {
  const differing: { readonly id: string; readonly values: readonly Mismatch[] }[] = []
  for (const model of context.models) {
    const info = await model.engine.ready()
    const values = differences(context, header, { model, info })
    if (values.length === 0) return { model, info }
    differing.push({ id: model.id, values })
  }
  const nearest = differing.toSorted((a, b) => a.values.length - b.values.length)
  const same = nearest.find(({ id }) => id === header.model) ?? nearest[0]
  const values = (same?.values ?? []).map(
    ({ name, stored, served }) => `${name} is ${stored} in the file and ${served} here`,
  )
  throw new PrefixdError(
    'PREFIXD_E_IMPORT_FINGERPRINT',
    `No model that is served here computes what ${header.model} of the file has computed; ` +
      `nearest is ${same?.id}: ${values.join('; ')}.`,
    { next: 'Serve the same model with the same engine, build and settings, then import again.' },
  )
}

function differences(
  { cache }: TransferContext,
  header: ExportHeader,
  { model, info }: Match,
): Mismatch[] {
  const pair = (name: string, stored: unknown, served: unknown): Mismatch[] =>
    stored === served ? [] : [{ name, stored: `${stored}`, served: `${served}` }]
  return [
    ...pair('weights', header.weightsDigest, model.weightsDigest),
    ...pair('block tokens', header.blockTokens, cache.blockTokens),
    ...mismatches(header.fingerprint as ModelInfo['fingerprint'], info.fingerprint),
    ...pair('kinds', header.kinds.join('+'), info.layout.kinds.join('+')),
  ]
}

function reportOf({ header, sameNames, ...counts }: Imported): ImportReport {
  const { model, signer, writtenBy, writtenAtMs } = header
  return { model, signer, writtenBy, writtenAtMs, renamed: !sameNames, ...counts }
}
