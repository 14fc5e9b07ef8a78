import { expect, test } from 'vitest'
import { bodiesFindings, proveBodies } from '../../bench/bodies/prove.ts'
import { createServiceFolder } from '../support/start-service.ts'

test('generated bodies, whole, wrong and broken: none is answered with 500, every error is typed', async () => {
  const { url } = await createServiceFolder().start({ engine: 'fake', ctx: '2048' })
  const progress: string[] = []
  const onProgress = (line: string) => progress.push(line)
  const report = await proveBodies({ url, seed: 4, from: 0, count: 600, onProgress })
  const failed = bodiesFindings(report).filter(({ holds }) => !holds)
  expect(failed, progress.join('\n')).toEqual([])
  expect(report.bodies).toBe(600)
})
