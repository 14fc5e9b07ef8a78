/**
 * `npm run agents`: Claude Code, opencode and Codex, as npm has them, against the real service.
 * Ends with 0 only when everything that it claims is true.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { wordsFor } from '../crash/scenes.ts'
import { isFailed } from '../demo-claims.ts'
import { ensureModel } from '../model.ts'
import { type Scratch, withScratch } from '../scratch-folder.ts'
import { type ServiceProcess, startService } from '../service-process.ts'
import { readChoices } from '../settings.ts'
import type { Agent } from './agent.ts'
import { judgeAgent } from './claims.ts'
import { claudeCode } from './claude-code.ts'
import { codex } from './codex.ts'
import { agentsFolder, installAgent } from './install.ts'
import { opencode } from './opencode.ts'
import { type AgentRun, playAgent, type Stage } from './play.ts'
import { startRecorder } from './recorder.ts'
import { agentLines, agentsJson } from './report.ts'

const usage = `npm run agents -- [--only claude,opencode,codex] [--model NAME] [--keep DIR]
                  [--engine llamacpp|fake] [--json]

Each agent does two turns and a second session against the real service with a context of 32k. The
agents are installed once from npm, at exact versions, into prefixd's cache folder (about 1.1 GB).
Nothing of your own settings is read, and nothing but prefixd can be reached by them.
--keep DIR writes every request and reply there. Ends with 0 when all that it claims is true.`

const agents: readonly Agent[] = [claudeCode, opencode, codex]

/** Small models do not come to an end, and what is shown here is how prompts begin. */
const answerTokens = 48
/** Of the service: Codex asks for no limit, and takes an answer that is cut for a failure. */
const maxAnswerTokens = 256
/** The fake engine has one token per byte. */
const contextTokens = { llamacpp: 32_768, mlx: 32_768, fake: 262_144 } as const

function readArguments() {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      model: { type: 'string', default: 'smollm2-135m' },
      engine: { type: 'string', default: 'llamacpp' },
      keep: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return null
  const choices = readChoices({ model: values.model, engine: values.engine, reuse: 'token' })
  return { choices, chosen: choose(values.only), keep: values.keep ?? null, json: values.json }
}

function choose(only: string | undefined): readonly Agent[] {
  if (only === undefined) return agents
  return only.split(',').map((name) => {
    const agent = agents.find(({ id }) => id === name.trim())
    if (agent !== undefined) return agent
    throw new Error(`--only takes ${agents.map(({ id }) => id).join(', ')}, not ${name}.`)
  })
}

type Arguments = NonNullable<ReturnType<typeof readArguments>>

function startFor({ choices }: Arguments, scratch: Scratch): Promise<ServiceProcess> {
  const { engine, model } = choices
  const flags = {
    engine,
    ...(engine === 'fake' ? {} : { model, 'rope-scaling': 'yarn' }),
    ctx: String(contextTokens[engine]),
    ram: '2GiB',
    ssd: '8GiB',
    'max-answer-tokens': String(maxAnswerTokens),
  }
  return startService(wordsFor(scratch, 'data', flags), scratch)
}

/** The name that the service itself gives to its model. */
async function servedModel(url: string): Promise<string> {
  const reply = await fetch(`${url}/v1/models`)
  const { data } = (await reply.json()) as { data: { id: string }[] }
  return data[0]?.id ?? ''
}

const keepIn = (folder: string): NonNullable<Stage['keep']> => {
  mkdirSync(folder, { recursive: true })
  return (name, recordings) =>
    recordings.forEach(({ requestBody, replyBody }, at) => {
      writeFileSync(join(folder, `${name}-${at + 1}.request.json`), requestBody)
      writeFileSync(join(folder, `${name}-${at + 1}.reply.txt`), replyBody)
    })
}

async function playAll(given: Arguments, scratch: Scratch): Promise<AgentRun[]> {
  const { choices, chosen, keep } = given
  const startedAt = performance.now()
  const progress = (line: string): void => {
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(0)
    console.error(`${seconds.padStart(5)} s  ${line}`)
  }
  const programs: string[] = []
  for (const agent of chosen) {
    programs.push(await installAgent(agent, agentsFolder(), scratch, progress))
  }
  await ensureModel(choices)
  const service = await startFor(given, scratch)
  const recorder = await startRecorder(service.url, scratch)
  const model = await servedModel(service.url)
  const place = { model, contextTokens: contextTokens[choices.engine], answerTokens }
  const runs: AgentRun[] = []
  for (const [at, agent] of chosen.entries()) {
    const program = [programs[at] ?? ''] as const
    const kept = keep === null ? {} : { keep: keepIn(keep) }
    runs.push(await playAgent(agent, { scratch, recorder, program, place, progress, ...kept }))
  }
  await service.stop()
  return runs
}

async function main(): Promise<number> {
  const given = readArguments()
  if (given === null) {
    console.log(usage)
    return 0
  }
  return withScratch(async (scratch) => {
    const runs = await playAll(given, scratch)
    const claims = runs.flatMap(judgeAgent)
    if (given.json) console.log(JSON.stringify(agentsJson(runs, claims), null, 2))
    else console.log(['', ...agentLines(runs, claims)].join('\n'))
    return isFailed(claims) ? 1 : 0
  })
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(`agents: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
