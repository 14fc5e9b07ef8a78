import { clientContract } from './client-contract.ts'
import { langChainOverChat, langChainOverResponses } from './libraries/langchain.ts'

clientContract('LangChain, over chat completions', langChainOverChat)
clientContract('LangChain, over responses', langChainOverResponses)
