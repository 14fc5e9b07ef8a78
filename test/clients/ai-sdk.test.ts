import { clientContract } from './client-contract.ts'
import { aiOverChat, aiOverMessages, aiOverResponses } from './libraries/ai-sdk.ts'

clientContract('ai, over chat completions', aiOverChat)
clientContract('ai, over Anthropic’s messages', aiOverMessages)
clientContract('ai, over responses', aiOverResponses)
