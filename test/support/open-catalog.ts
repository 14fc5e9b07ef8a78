/** A catalog in a folder of its own, with a clock that the test sets. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { type CatalogOptions, openCatalog } from '../../src/catalog/open.ts'
import type { Catalog } from '../../src/catalog/types.ts'

type MoreOptions = Partial<Pick<CatalogOptions, 'besideBlocks' | 'machine' | 'storedPins'>>

export interface CatalogFolder {
  readonly directory: string
  readonly path: string
  readonly warnings: string[]
  readonly clock: { ms: number }
  open(where?: string, keepText?: boolean, more?: MoreOptions): Catalog
}

export function catalogFolder(): CatalogFolder {
  const directory = mkdtempSync(join(tmpdir(), 'prefixd-catalog-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const warnings: string[] = []
  const clock = { ms: Date.UTC(2026, 10, 26, 13, 30) }
  return {
    directory,
    path: join(directory, 'catalog.db'),
    warnings,
    clock,
    open(where = directory, keepText = false, more = {}) {
      const catalog = openCatalog({
        directory: where,
        besideBlocks: false,
        keepText,
        machine: 'linux x64, 2 × AMD EPYC',
        storedPins: null,
        ...more,
        now: () => clock.ms,
        warn: (message) => warnings.push(message),
      })
      onTestFinished(() => catalog.close())
      return catalog
    },
  }
}
