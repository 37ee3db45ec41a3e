# What operations of MLX give, for test/binding/operations.test.ts:
#   python3 scripts/binding-fixtures.py > test/fixtures/binding/operations.json
# needs mlx and numpy. Results are NumPy's in 64 bits, of inputs rounded to the type; what NumPy has not (quantised forms,
# rope) is computed by the Python package of MLX.
import json
import math

import mlx.core as mx
import numpy as np

types = {"float32": mx.float32, "float16": mx.float16, "bfloat16": mx.bfloat16}
random = np.random.default_rng(11)
inputs = {
    "a": random.normal(size=(3, 8)),
    "b": random.normal(size=(3, 8)),
    "positive": random.uniform(0.2, 3, size=(3, 8)),
    "row": random.normal(size=(8,)),
    "square": random.normal(size=(8, 5)),
    "cube": random.normal(size=(2, 3, 4)),
    "queries": random.normal(size=(1, 4, 3, 32)),
    "keys": random.normal(size=(1, 2, 5, 32)),
    "values": random.normal(size=(1, 2, 5, 32)),
    "mask5": np.ones((3, 5)),
    "mask": np.where(np.tril(np.ones((3, 5)), 2) > 0, 0, -1e4).reshape(1, 1, 3, 5),
    "weights": random.normal(size=(2, 64)),
    "experts": random.normal(size=(3, 2, 64)),
    "wide": random.normal(size=(2, 64)),
    "tokens": random.normal(size=(3, 1, 64)),
    "matrices": random.normal(size=(3, 64, 2)),
}
integers = {
    "places": [2, 0, 1],
    "columns": [1, 7, 1],
    "along": [[0, 3, 5], [7, 1, 1], [2, 2, 6]],
    "bits": [[1, 2, 3], [12, 255, 1023]],
    "others": [[3, 6, 1], [10, 15, 1000]],
    "shifts": [[0, 1, 1], [2, 3, 4]],
}
cases = []


def rounded(name, type):
    return np.array(mx.array(inputs[name].astype(np.float32)).astype(type).astype(mx.float32), dtype=np.float64)


def case(op, args, result, type="float32", **more):
    """`args` are numbers, flags, [numbers] and {"tensor": name}; `result` is an array of NumPy or MLX."""
    if isinstance(result, mx.array):
        result = np.array(result.astype(mx.float32))
    result = np.asarray(result)
    values = [float(f"{value:.7g}") if math.isfinite(value) else str(value) for value in result.astype(np.float64).flatten()]
    cases.append({"op": op, "type": type, "args": args, "shape": list(result.shape), "values": values, **more})


def t(name):
    return {"tensor": name}


def attention(q, k, v, scale, mask, sinks=None):
    groups = q.shape[1] // k.shape[1]
    scores = q @ np.repeat(k, groups, 1).swapaxes(2, 3) * scale + mask
    if sinks is not None:
        scores = np.concatenate([scores, np.broadcast_to(sinks.reshape(1, -1, 1, 1), scores.shape[:3] + (1,))], 3)
    shares = np.exp(scores - scores.max(3, keepdims=True))
    shares = (shares / shares.sum(3, keepdims=True))[..., : k.shape[2]]
    return shares @ np.repeat(v, groups, 1)


for name, type in types.items():
    x = {key: rounded(key, type) for key in inputs}
    a, b, positive, row, square, cube = (x[key] for key in ("a", "b", "positive", "row", "square", "cube"))
    m = {key: mx.array(inputs[key].astype(np.float32)).astype(type) for key in inputs}

    def of(op, args, result, **more):
        case(op, args, result, name, **more)

    for op, f in {
        "abs": np.abs, "negative": np.negative, "floor": np.floor, "exp": np.exp, "cos": np.cos, "sin": np.sin,
        "square": np.square, "sigmoid": lambda v: 1 / (1 + np.exp(-v)), "tanh": np.tanh, "isfinite": np.isfinite,
    }.items():
        of(op, [t("a")], f(a))
    for op, f in {"log": np.log, "sqrt": np.sqrt, "rsqrt": lambda v: 1 / np.sqrt(v)}.items():
        of(op, [t("positive")], f(positive))
    for op, f in {
        "add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide, "maximum": np.maximum,
        "minimum": np.minimum, "less": np.less, "lessEqual": np.less_equal, "greater": np.greater,
        "greaterEqual": np.greater_equal, "equal": np.equal, "notEqual": np.not_equal,
    }.items():
        of(op, [t("a"), t("b")], f(a, b))
        of(op, [t("a"), t("row")], f(a, row))
        of(op, [t("a"), 0.5], f(a, 0.5))
        of(op, [2, t("a")], f(2, a))
    of("power", [t("positive"), 0.5], positive**0.5)
    of("where", [{"greater": ["a", 0]}, t("a"), t("b")], np.where(a > 0, a, b))
    of("where", [{"greater": ["a", 0]}, 0, t("b")], np.where(a > 0, 0, b))
    of("logicalAnd", [{"greater": ["a", 0]}, {"greater": ["b", 0]}], (a > 0) & (b > 0))
    of("logicalOr", [{"greater": ["a", 0]}, {"greater": ["b", 0]}], (a > 0) | (b > 0))
    of("logicalNot", [{"greater": ["a", 0]}], ~(a > 0))

    for op, f in {"sum": np.sum, "mean": np.mean, "max": np.max, "min": np.min}.items():
        of(op, [t("a")], f(a))
        of(op, [t("a"), 0], f(a, 0))
        of(op, [t("a"), -1, True], f(a, -1, keepdims=True))
    of("all", [{"greater": ["a", 0]}, -1], (a > 0).all(-1))
    of("any", [{"greater": ["a", 0]}, -1], (a > 0).any(-1))
    of("argmax", [t("a"), -1], a.argmax(-1))
    of("argmin", [t("a"), -1, True], a.argmin(-1, keepdims=True))
    of("logsumexp", [t("a"), -1, True], np.log(np.exp(a).sum(-1, keepdims=True)))
    soft = np.exp(a - a.max(-1, keepdims=True))
    of("softmax", [t("a"), -1, True], soft / soft.sum(-1, keepdims=True))
    of("cumsum", [t("a"), -1], a.cumsum(-1))
    of("cumsum", [t("a"), -1, True, False], np.concatenate([a[:, :0:-1].cumsum(-1)[:, ::-1], np.zeros((3, 1))], 1))
    of("sort", [t("a"), -1], np.sort(a, -1))
    of("argsort", [t("a"), -1], np.argsort(a, -1))

    of("reshape", [t("a"), [2, -1]], a.reshape(2, -1))
    of("transpose", [t("cube"), [2, 0, 1]], cube.transpose(2, 0, 1))
    of("flatten", [t("cube")], cube.flatten())
    of("expandDims", [t("a"), 1], a[:, None])
    of("broadcastTo", [t("row"), [3, 8]], np.broadcast_to(row, (3, 8)))
    of("concatenate", [{"tensors": ["a", "b"]}, -1], np.concatenate([a, b], -1))
    of("stack", [{"tensors": ["a", "b"]}, 1], np.stack([a, b], 1))
    of("split", [t("a"), 2, -1], np.split(a, 2, -1)[1], part=1)
    of("split", [t("a"), [3], -1], np.split(a, [3], -1)[1], part=1)
    of("take", [t("a"), t("places"), 0], a[integers["places"]])
    of("take", [t("a"), 2, 1], a[:, 2])
    of("takeAlongAxis", [t("a"), t("along"), -1], np.take_along_axis(a, np.array(integers["along"]), -1))
    added = a.copy()
    np.add.at(added, (np.array(integers["places"]), np.array(integers["columns"])), 1.5)
    of("addAt", [t("a"), t("places"), t("columns"), 1.5], added)

    of("matmul", [t("a"), t("square")], a @ square)
    of("addmm", [{"tensor": "mask5"}, t("a"), t("square")], np.ones((3, 5)) + a @ square)
    of("gatherMm", [t("tokens"), t("matrices"), None, t("places")], x["tokens"] @ x["matrices"][integers["places"]])
    rms = a / np.sqrt((a * a).mean(-1, keepdims=True) + 1e-5)
    of("fast.rmsNorm", [t("a"), t("row"), 1e-5], rms * row)
    q, k, v = x["queries"], x["keys"], x["values"]
    of("fast.scaledDotProductAttention", [t("queries"), t("keys"), t("values"), 0.2, t("mask")], attention(q, k, v, 0.2, x["mask"]))
    causal = np.where(np.tril(np.ones((3, 5)), 2) > 0, 0, -np.inf)
    of("fast.scaledDotProductAttention", [t("queries"), t("keys"), t("values"), 0.2, "causal"], attention(q, k, v, 0.2, causal))
    of("fast.scaledDotProductAttention", [t("queries"), t("keys"), t("values"), 0.2], attention(q, k, v, 0.2, 0))
    sinks = x["row"][:4]
    of("fast.scaledDotProductAttention", [t("queries"), t("keys"), t("values"), 0.2, None, {"first": ["row", 4]}], attention(q, k, v, 0.2, 0, sinks))
    of("fast.rope", [t("queries"), 32, False, 10000, 1, 3], mx.fast.rope(m["queries"], 32, traditional=False, base=10000, scale=1, offset=3))
    for bits, group, mode in [(2, 32, "affine"), (3, 32, "affine"), (4, 64, "affine"), (5, 32, "affine"), (6, 64, "affine"), (8, 64, "affine"), (4, 32, "mxfp4"), (8, 32, "mxfp8"), (4, 16, "nvfp4")]:
        def packed(w):
            return mx.quantize(w, group_size=group, bits=bits, mode=mode)

        def parts(source):
            return [{"quantized": [source, group, bits, mode], "part": part} for part in range(3)]

        w = packed(m["weights"])
        biases = w[2] if len(w) > 2 else None
        full = mx.dequantize(w[0], w[1], biases, group_size=group, bits=bits, mode=mode).astype(mx.float32)
        of("dequantize", [*parts("weights"), group, bits, mode], full)
        product = x["wide"] @ np.array(full, dtype=np.float64).T
        of("quantizedMatmul", [t("wide"), *parts("weights"), True, group, bits, mode], product)
        e = packed(m["experts"])
        biases = e[2] if len(e) > 2 else None
        full = np.array(mx.dequantize(e[0], e[1], biases, group_size=group, bits=bits, mode=mode).astype(mx.float32), dtype=np.float64)
        chosen = x["tokens"] @ full[integers["places"]].swapaxes(1, 2)
        of("gatherQmm", [t("tokens"), *parts("experts"), None, t("places"), True, group, bits, mode], chosen)

bits, others, shifts = (np.array(integers[key]) for key in ("bits", "others", "shifts"))
case("bitwiseAnd", [t("bits"), t("others")], bits & others)
case("bitwiseOr", [t("bits"), t("others")], bits | others)
case("leftShift", [t("bits"), t("shifts")], bits << shifts)
case("rightShift", [t("bits"), t("shifts")], bits >> shifts)

print(
    json.dumps(
        {
            "inputs": {key: {"shape": list(value.shape), "values": [float(np.float32(v)) for v in value.flatten()]} for key, value in inputs.items()},
            "integers": integers,
            "cases": cases,
        },
        separators=(",", ":"),
    )
)
