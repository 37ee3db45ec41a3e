"""mlx-lm's own generators without a server: generate_step for one sequence, BatchGenerator for more.

For each line `[sequences, prompt_tokens, max_tokens]` on standard input it prints tokens a second.
"""

import json
import sys
import time

import mlx.core as mx
from mlx_lm.generate import BatchGenerator, generate_step
from mlx_lm.utils import load

model, _ = load(sys.argv[1])
seed = 0


def prompts(count, tokens):
    global seed
    result = []
    for _ in range(count):
        seed += 1
        result.append([10 + (seed * 31 + place * 7) % 500 for place in range(tokens)])
    return result


def one(prompt, max_tokens):
    return sum(1 for _ in generate_step(mx.array(prompt), model, max_tokens=max_tokens))


def batch(all_prompts, max_tokens):
    generator = BatchGenerator(model, max_tokens=max_tokens)
    generator.insert(all_prompts)
    tokens = 0
    finished = 0
    while finished < len(all_prompts):
        for response in generator.next_generated():
            tokens += 1
            finished += response.finish_reason is not None
    return tokens


print("ready", flush=True)
for line in sys.stdin:
    sequences, prompt_tokens, max_tokens = json.loads(line)
    work = prompts(sequences, prompt_tokens)
    started = time.perf_counter()
    tokens = one(work[0], max_tokens) if sequences == 1 else batch(work, max_tokens)
    print(tokens / (time.perf_counter() - started), flush=True)
