import { assert, describe, it } from "@effect/vitest";

import { mx, type Tensor } from "../../../../src/service/worker/mlx.ts";
import { ModelConfig } from "../../../../src/service/worker/files/model-config.ts";
import { plainRope, readRope, rotate, rotationAt } from "../../../../src/service/worker/layers/rope.ts";

/** Frequencies of mlx-lm 0.32 on a CPU for the same settings, to the digit. */
const references: ReadonlyArray<
  readonly [string, Record<string, unknown>, { readonly frequencies: readonly number[]; readonly scale: number }]
> = [
  [
    "none",
    { rope_theta: 10_000 },
    {
      frequencies: [
        1, 0.316227764, 0.100000009, 0.0316227786, 0.0100000007, 0.003162276, 0.00100000016, 0.000316227815,
      ],
      scale: 1,
    },
  ],
  [
    "llama3",
    {
      rope_theta: 500_000,
      rope_scaling: {
        rope_type: "llama3",
        factor: 8,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_max_position_embeddings: 64,
      },
    },
    {
      frequencies: [
        1, 0.079403013, 0.00470075384, 0.000911583134, 0.000176776681, 3.42810235e-5, 6.64786967e-6, 1.28917316e-6,
      ],
      scale: 1,
    },
  ],
  [
    "yarn",
    {
      rope_theta: 150_000,
      rope_scaling: { rope_type: "yarn", factor: 32, original_max_position_embeddings: 64, truncate: false },
    },
    {
      frequencies: [
        1, 0.116231158, 0.00158791477, 0.000357944577, 8.0687154e-5, 1.8188337e-5, 4.09997801e-6, 9.24208962e-7,
      ],
      scale: 1.34657359,
    },
  ],
  [
    "yarn with all of its settings",
    {
      rope_scaling: {
        type: "yarn",
        factor: 40,
        original_max_position_embeddings: 4096,
        beta_fast: 16,
        beta_slow: 2,
        mscale: 0.7,
        mscale_all_dim: 1.3,
      },
    },
    {
      frequencies: [
        1, 0.316227764, 0.100000001, 0.0316227786, 0.00674999924, 0.00110679702, 2.49999994e-5, 7.90569447e-6,
      ],
      scale: 0.85040579,
    },
  ],
  [
    "longrope",
    {
      max_position_embeddings: 131_072,
      original_max_position_embeddings: 4096,
      rope_scaling: { type: "longrope", short_factor: [1, 1, 1, 1], long_factor: [1, 1.5, 2.5, 40] },
    },
    { frequencies: [1, 0.0666666701, 0.00400000019, 2.49999994e-5], scale: 1.19023807 },
  ],
];

describe("rotary embedding", () => {
  for (const [name, config, expected] of references) {
    it(`has mlx-lm's frequencies with ${name}`, () => {
      const rope = readRope(new ModelConfig(config), 2 * expected.frequencies.length, 10_000);
      const frequencies = rope.frequencies.tolist() as number[];
      for (const [i, frequency] of expected.frequencies.entries()) {
        assert.strictEqual(frequencies[i], Math.fround(frequency));
      }
      assert.closeTo(rope.scale, expected.scale, 1e-6);
    });
  }

  it("turns an element with the one half a rotation further, by position times frequency", () => {
    const x = mx.array([[[[1, 2, 3, 4]]]], mx.float32);
    const rotation = rotationAt(mx.array([[5]], mx.float32), plainRope(100, 4));
    const [a, b] = [5, 0.5];
    const expected = [
      Math.cos(a) - 3 * Math.sin(a),
      2 * Math.cos(b) - 4 * Math.sin(b),
      3 * Math.cos(a) + Math.sin(a),
      4 * Math.cos(b) + 2 * Math.sin(b),
    ];
    const turned = rotate(x, rotation).reshape(1, 4).tolist() as number[][];
    for (const [i, value] of expected.entries()) assert.closeTo(turned[0]?.[i] ?? NaN, value, 1e-5);
  });

  it("turns an element with the next one where a config asks for pairs", () => {
    const x = mx.array([[[[1, 2, 3, 4]]]], mx.float32);
    const pairs = rotate(x, rotationAt(mx.array([[3]], mx.float32), plainRope(100, 4, true)));
    // The same elements, put where halves have them.
    const halves = rotate(
      mx.array([[[[1, 3, 2, 4]]]], mx.float32),
      rotationAt(mx.array([[3]], mx.float32), plainRope(100, 4)),
    );
    const [[[[a, b, c, d]]]] = halves.tolist() as [[[[number, number, number, number]]]];
    assert.deepStrictEqual(pairs.tolist(), [[[[a, c, b, d]]]]);
    const config = ModelConfig.parse('{"rope_traditional": true}');
    assert.isTrue(readRope(config, 4, 100).inPairs);
  });

  it("leaves what lies beyond its elements as it is", () => {
    const x = mx.array([[[[1, 2, 3, 4, 5, 6]]]], mx.float32);
    const rotation = rotationAt(mx.array([[5]], mx.float32), plainRope(100, 2));
    const [turned = []] = rotate(x, rotation).reshape(1, 6).tolist() as number[][];
    assert.deepStrictEqual(turned.slice(2), [3, 4, 5, 6]);
    assert.closeTo(turned[0] ?? NaN, Math.cos(5) - 2 * Math.sin(5), 1e-5);
  });

  for (const [name, config, { frequencies }] of references) {
    it(`turns by offsets as by positions with ${name}`, (context) => {
      if (mx.binding !== "own") context.skip("node-mlx turns by positions alone");
      const dims = 2 * frequencies.length;
      const rope = readRope(new ModelConfig(config), dims, 10_000);
      const [offsets, tokens] = [[0, 5, 900], 4];
      const positions = mx.array(
        offsets.map((offset) => Array.from({ length: tokens }, (_, token) => offset + token)),
        mx.float32,
      );
      const places = { offsets: mx.array(offsets, mx.int32), positions: () => positions };
      // Two elements more than turn.
      const x = mx.random.normal([3, tokens, 2, dims + 2], mx.float32, 0, 1, mx.random.key(1));
      const byOffset = rotate(x, rotationAt(places, rope));
      const byPosition = rotate(x, rotationAt(positions, rope));
      const apart = mx.subtract(byOffset, byPosition);
      assert.isBelow(mx.max(mx.flatten(mx.multiply(apart, apart)), -1).item(), 1e-11);
    });
  }

  it("turns sections of its elements by positions of their own", () => {
    const config = { rope_scaling: { type: "mrope", mrope_section: [1, 2, 1] } };
    const rope = readRope(new ModelConfig(config), 8, 10_000);
    const x = mx.random.normal([1, 2, 3, 8], mx.float32, 0, 1, mx.random.key(2));
    const positions = [
      [3, 4],
      [7, 9],
      [5, 5],
    ];
    const got = rotate(x, rotationAt(mx.array(positions, mx.float32).reshape(3, 1, 2), rope));
    const alone = positions.map((own) => rotate(x, rotationAt(mx.array([own], mx.float32), rope)));
    for (const [element, axis] of [0, 1, 1, 2, 0, 1, 1, 2].entries()) {
      const of = (turned: Tensor | undefined): unknown => turned?.index("...", element).tolist();
      assert.deepStrictEqual(of(got), of(alone[axis]));
    }
  });
});
