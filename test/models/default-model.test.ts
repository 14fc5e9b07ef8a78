import { expect, it } from 'vitest'
import { findInCatalogue } from '../../src/models/catalogue.ts'
import { defaultModelName, resolveModel, weightsDigest } from '../../src/models/index.ts'
import { defaultModelPath } from '../support/default-model.ts'

it('the default model that the tests run with is the pinned one', async () => {
  const path = await defaultModelPath()
  const resolved = await resolveModel(path, { pull: false })
  const known = findInCatalogue(defaultModelName)
  expect(resolved.sizeBytes).toBe(known?.sizeBytes)
  expect(await weightsDigest(path)).toBe(known?.sha256)
})
