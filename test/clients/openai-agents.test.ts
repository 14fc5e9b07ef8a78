import { clientContract } from './client-contract.ts'
import { agentsOverChat, agentsOverResponses } from './libraries/openai-agents.ts'

clientContract('the agents SDK, over responses', agentsOverResponses)
clientContract('the agents SDK, over chat completions', agentsOverChat)
