/** Opens the catalog of a directory. Only the service that holds the directory's lock does so. */
import { join } from 'node:path'
import { openCatalogFile } from './catalog-file.ts'
import { pinStore } from './pins.ts'
import type { Catalog } from './types.ts'

export interface CatalogOptions {
  readonly directory: string
  readonly warn: (message: string, error: unknown) => void
}

/** Never fails: see `openCatalogFile`. */
export function openCatalog({ directory, warn }: CatalogOptions): Catalog {
  const file = openCatalogFile({ path: join(directory, 'catalog.db'), warn })
  return {
    pins: pinStore(file),
    close: () => file.close(),
  }
}
