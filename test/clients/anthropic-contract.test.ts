import { clientContract } from './client-contract.ts'
import { anthropicMessages } from './libraries/anthropic-messages.ts'

clientContract('@anthropic-ai/sdk', anthropicMessages)
