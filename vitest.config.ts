import { existsSync } from 'node:fs'
import { defineConfig } from 'vitest/config'

const globalSetup = './test/support/global-setup.ts'
const report = process.env.PREFIXD_TEST_REPORT

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Workers, sockets and native addons are under test: a process each, and two cores to share.
    pool: 'forks',
    maxWorkers: 2,
    globalSetup: existsSync(globalSetup) ? [globalSetup] : [],
    // Generous, for tests that run a real model on a slow machine; no test measures time.
    testTimeout: 180_000,
    // The first test of the MLX engine installs it.
    hookTimeout: 600_000,
    teardownTimeout: 20_000,
    restoreMocks: true,
    unstubEnvs: true,
    reporters: report === undefined ? ['default'] : ['default', ['json', { outputFile: report }]],
  },
})
