import { clientContract } from './client-contract.ts'
import { openAiChat } from './libraries/openai-chat.ts'
import { openAiResponses } from './libraries/openai-responses.ts'

clientContract('openai, over chat completions', openAiChat)
clientContract('openai, over responses', openAiResponses)
