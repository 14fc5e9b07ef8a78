/** Where tests that run a real model find the default one. */

/**
 * Path of SmolLM2-135M-Instruct Q4_1. `PREFIXD_TEST_MODEL` has it: from the user, or from
 * global-setup.ts, which pulls the model once. Throws with the reason when it could not be had.
 */
export function defaultModelPath(): string {
  const path = process.env.PREFIXD_TEST_MODEL
  if (path !== undefined && path !== '') return path
  const reason = process.env.PREFIXD_TEST_MODEL_ERROR ?? ''
  throw new Error(
    'This test needs the default model. Set PREFIXD_TEST_MODEL to the path of ' +
      `SmolLM2-135M-Instruct.Q4_1.gguf. ${reason}`,
  )
}
