"""Limits of this worker; those of grammars are the ones of engines/limits.ts."""

# Decoded tokens after which MLX gives back what it keeps of freed memory.
CLEAR_EVERY_TOKENS = 256

# Blocks that may wait for room; the next one then waits for the oldest answer.
WAITING_EXPORTS_MAX = 8

# Repetitions that one `{m,n}` of a grammar may ask for.
GRAMMAR_REPETITIONS_MAX = 2000

# Characters of a grammar, and its symbols with repetitions written out.
GRAMMAR_CHARS_MAX = 500_000
GRAMMAR_SYMBOLS_MAX = 200_000

# Groups inside of each other.
GRAMMAR_NESTING_MAX = 256

# Ways in which one character may be read, and all of one token: a matcher that needs more gives
# up. The time of the former grows with its square; this many take a second.
GRAMMAR_ROW_ITEMS_MAX = 5_000
GRAMMAR_STEP_ITEMS_MAX = 1_000_000

# What llguidance's lexer may take to begin, and to step; far more than characters need.
GRAMMAR_LEXER_FUEL_MAX = 50_000_000

# The stack of the working thread. llguidance walks rules that refer to each other by calling
# itself: 25,000 of them in a row took 120 MiB. Only what is used takes memory.
STACK_BYTES = 512 * 1024 * 1024

# Frames of Python's own stack: a grammar's groups take a few each.
RECURSION_MAX = 10_000

# Tokens that the penalties look back on; the default of llama-server.
PENALTY_WINDOW_TOKENS = 64

# Memory of sequences that have ended, which the next one may take.
KEPT_BYTES = 1024 * 1024 * 1024
