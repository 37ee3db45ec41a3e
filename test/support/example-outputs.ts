/** What the documented examples print: by their page, a piece of their code that no other one there has, and a pattern. */
export const exampleOutputs: readonly (readonly [page: string, code: string, prints: RegExp])[] = [
  ["examples/deno.ts", "", /^demo reads \d+ tokens\n2\n \+\n[^]+\nend_of_sequence after 9 tokens\n$/],
  [
    "examples/node.ts",
    "",
    /^2 \+ 2 is 4\. \{ promptTokens: 15, .*outputTokens: 9 \}\n3 \+ 4 is 7\. \(end_of_sequence\)\n$/,
  ],

  ["README.md", "bin/mlxd generate", /^2 \+ 2 is 4\.\n$/],
  ["README.md", "curl -sS", /^\{"result":\{.*"text":"2 \+ 2 is 4\.","finishReason":"FINISH_REASON_END_OF_SEQUENCE"/],
  ["README.md", "grpcurl", /"started": \{[^]+"text": "[^]+"finishReason": "FINISH_REASON_END_OF_SEQUENCE"/],
  ["README.md", "client/node.ts", /^2 \+ 2 is 4\. \{ promptTokens: 15, [^]+\}\n1, 2, 3, 4, 5$/],
  ["README.md", "client/web.ts", /^2 \+ 2는 4입니다\.\n$/],

  ["docs/client.md", "result.parameters.seed", /^2 \+ 2 is 4\.\nend_of_sequence\n\{ promptTokens: 15, .*\}\n\d+\n$/],
  ["docs/client.md", "And 3+4?", /^3 \+ 4 is 7\.\n$/],
  ["docs/client.md", 'case "started"', /^gen_\w+ on demo\n1, 2, 3, 4, 5\nend_of_sequence\n$/],
  ["docs/client.md", "const story", /^1, 2, 3, 4, 5, 6, 7, 8, 9, 10(\d+)\n$/],
  ["docs/client.md", "client.cancel(", /^cancelled\n$/],
  ["docs/client.md", "no-such-model", /^no model is called "no-such-model"; /],
  ["docs/client.md", "AbortSignal.timeout", /^2 \+ 2 is 4\.\n$/],
  ["docs/client.md", "toolMessage", /^\w+ calculator \{ expression: '123\*45' \}\n123 × 45 is 5535\.\n$/],
  [
    "docs/client.md",
    "const evaluate",
    /^calls calculator with \{"expression": ?"123\*45"\}\ngets 5535\n123 × 45 is 5535\.\{\n {2}promptTokens: \d+,/,
  ],
  ["docs/client.md", "createMlxd(", /^1, 2, 3, 4, 5\{ expression: '123\*45' \}\n$/],
  ["docs/client.md", "yield* Mlxd", /^2 \+ 2 is 4\.\n[^]*5\n$/],
  ["docs/client.md", "createTestClient(", /^It is noon\. QUEUE_FULL 3\n$/],
  ["docs/client.md", "pooled.connect()", /^2 \+ 2 is 4\.\n$/],
  ["docs/client.md", "createGrpcClient({", /^2 \+ 2 is 4\.\n$/],
  ["docs/client.md", "client.generateObject(", /^Mina 30\n\{\}\n[^]*\{ name: 'Mina', age: 30 \}\n$/],
  ["docs/client.md", "client.chat({ system", /^Your name is Mina\.0\n4\n$/],
  [
    "docs/client.md",
    "client.batch(",
    /^(?=[^]*sum 2 \+ 2 is 4\.\n)(?=[^]*count 1, 2, 3\n)[^]*succeeded: 2,\n {2}failed: 0,/,
  ],
  [
    "docs/client.md",
    "client.embed(",
    /^2\n\[ \d+ \] Hello\n\{\n {2}model: 'demo',\n {2}promptTokens: 15,[^]+\bdemo \w+ 2048\n/,
  ],
  ["docs/client.md", "client.prepareModel()", /^ready \[[^]+'smoke_test', durationMs: \d+ \}\n\] ok\n$/],
  ["docs/client.md", "client/web.ts", /^2\n \+\n[^]+4\n\.\n$/],

  ["docs/generation.md", "const greedy", /^2 \+ 2 is 4\.\n$/],
  ["docs/generation.md", "const varied", /\S/], // drawn at temperature 1.2
  ["docs/generation.md", "const fresh", /^1, 2, 3, 4/],
  ["docs/generation.md", "const otherwise", /^2 \+ 2 is 4\. \| (?!2)\S/],
  ["docs/generation.md", "const again", /^true\n$/],
  ["docs/generation.md", "const short", /^max_output_tokens 8\n$/],
  ["docs/generation.md", "const upTo", /^1, 2, 3, \{ stopSequence: '4' \}\n$/],
  ["docs/generation.md", "const long", /^stop_token\n$/],
  ["docs/generation.md", "const inTime", /^(time_budget|end_of_sequence)\n$/], // as fast as the machine is
  ["docs/generation.md", "const scored", /^"2" -0\.00\d+ 2 -0\.00, .+\n" \+" -/],
  ["docs/generation.md", "const spelled", /^true\n$/],
  ["docs/generation.md", "promptLogprobs: true", /^\[\n {2}\[ 'O', undefined \],\n {2}\[ 'n', -\d/],
  ["docs/generation.md", "const echoed", /^One, two, /],
  ["docs/generation.md", "const asWritten", /^2 \+ 2 is 4\.\n$/],
  ["docs/generation.md", "const withIds", /^true\n$/],
  ["docs/generation.md", "const several", /^0 [^]+\n1 [^]+\n2 [^]+outputTokens: \d+ \}\ntrue\n$/],
  ["docs/generation.md", "const both", /^[01] \w+ \d+\n[01] \w+ \d+\n\[ '1, [^]+' \]\n$/],
  ["docs/generation.md", "const polite", /^undefined\n$/],
  [
    "docs/generation.md",
    "const person",
    /^\{ name: 'Mina', age: 30 \} constraint_complete\n\{[^]*\}\n(yes|no)\n#[0-9a-f]{6}\n\d+( \+ \d+)*\n$/,
  ],
  ["docs/generation.md", "const cache", /^2 \+ 3 is 5\. \d+\n4 \+ 5 is 9\. \d+\n$/],

  ["docs/models.md", "checkModelFit", /^true \d+ \d+ \[\] \[\]\nactive \d+ \d+[^]*\n(true|false) \d+\n/],
  ["docs/models.md", "LoadModel", /^\{"model":\{"id":"demo",.*"fit":\{"fits":true,/],

  ["docs/download.md", "prepareModel", /ms: resolving\n[^]+ms: ready\ntrue ok undefined\n$/],

  [
    "docs/cli.md",
    'mlxd generate "What is 2+2?" --json',
    /^2 \+ 2 is 4\.\n[^]+\n1, 2, 3, ?\n\{\n {2}"text": "2 \+ 2 is 4\."[^]+\n\}\n\{"name": "Mina", "age": 30\}\n$/,
  ],
  ["docs/cli.md", "mlxd chat", /^Nice to meet you, Mina!\nYour name is Mina\.\n$/],
  [
    "docs/cli.md",
    "mlxd models demo",
    /^ID +STATE[^]+\ndemo +\w+[^]+it fits\n[^]+demo is pinned\n[^]+nothing has changed\n/,
  ],
  ["docs/cli.md", "mlxd tokens", /^[^]+\n\d+ tokens\n\d+\nsince +\d/],

  ["docs/tools.md", "5535", /^tool_calls\n\w+ calculator 123\*45\n123 × 45 is 5535\.\n$/],
  ["docs/tools.md", "toolChoice", /^calculator tool_calls\n$/],
  ["docs/tools.md", "client.stream(", /^0 \w+ calculator \{"expression": ?"123\*45"\}\n$/],

  ["docs/adapters.md", "polite", /^\[\]\nmodel "demo" has no adapter "polite"; it has none/],

  ["docs/embeddings.md", "client.embed(", /^-?0\.\d+\n-?0\.\d+\n\d+ last_token\n$/],
  ["docs/embeddings.md", "curl -sS", /^\{"model":"demo",.*"embeddings":\[\{"values":\[-?0\.\d+,/],
];
