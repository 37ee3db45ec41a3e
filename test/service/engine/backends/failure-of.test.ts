import { Redacted } from "effect";
import { assert, describe, it } from "vitest";

import { failureOf } from "../../../../src/service/engine/backends/failure-of.ts";
import {
  AnswerUnreadable,
  BackendSays,
  shown,
  StatusRefused,
} from "../../../../src/service/engine/backends/problems.ts";

const model = { id: "demo", source: "org/demo" };
const backend = { name: "attic", apiKey: undefined };
const coded = (code: string) => Object.assign(new Error("it failed"), { code });

describe("the failure of an exchange", () => {
  it.each([
    ["ENOTFOUND", "dns"],
    ["UND_ERR_CONNECT_TIMEOUT", "connect_timeout"],
    ["UND_ERR_HEADERS_TIMEOUT", "read_timeout"],
    ["HPE_INVALID_CONSTANT", "protocol_error"],
    ["DEPTH_ZERO_SELF_SIGNED_CERT", "tls"],
    ["ECONNRESET", "connection_lost"],
    ["EPIPE", "connection_lost"],
  ])("by %s is told as %s", (code, cause) => {
    const wrapped = new Error("fetch failed", { cause: coded(code) });
    for (const thrown of [coded(code), wrapped]) {
      assert.deepInclude(failureOf(thrown, model, backend, false), { _tag: "BackendUnavailable", cause });
    }
  });

  it.each([
    "This model's maximum context length is 8192 tokens",
    "the request exceeds the available context size, try increasing it",
    "Prompt is too long",
    "context_length_exceeded",
    "input length exceeds the context limit",
    "too many tokens",
    "The input token count (9) exceeds the maximum number of tokens allowed (8).",
    "`inputs` tokens + `max_new_tokens` must be <= 8193",
    "Please reduce the length of the messages or completion.",
    "The decoder prompt (length 9) is longer than the maximum model length of 8.",
  ])("tells that the context is exceeded: %s", (words) => {
    const thrown = new StatusRefused(400, undefined, JSON.stringify({ error: { message: words } }));
    assert.deepInclude(failureOf(thrown, model, backend, false), { _tag: "BackendContextExceeded", words });
    const within = new BackendSays(JSON.stringify({ error: { message: words } }));
    assert.deepInclude(failureOf(within, model, backend, false), { _tag: "BackendContextExceeded" });
  });

  it("tells that the context is exceeded wherever the server says so: late in its words, or by its code alone", () => {
    const late = { message: `${"word ".repeat(200)}this model's maximum context length is 8` };
    const coded = { message: "no", code: "context_length_exceeded" };
    for (const error of [late, coded]) {
      const thrown = new StatusRefused(400, undefined, JSON.stringify({ error }));
      const failure = failureOf(thrown, model, backend, false);
      assert.strictEqual(failure._tag, "BackendContextExceeded");
      assert.isAtMost(failure._tag === "BackendContextExceeded" ? failure.words.length : Infinity, 201);
    }
  });

  it("of an error within a stream is that of the status which it tells, and a loss after some output", () => {
    const says = new BackendSays(JSON.stringify({ error: { code: 429, message: "slow down" } }));
    assert.deepInclude(failureOf(says, model, backend, false), { _tag: "BackendQuota", retryAfterMs: 1000 });
    assert.deepInclude(failureOf(says, model, backend, true), { _tag: "EngineLost" });
  });

  it("quotes what the server wrote without its key, whole or in parts", () => {
    const secret = `sk-${"0123456789".repeat(7)}`;
    for (const written of [secret.slice(0, 64), `a ${secret}`]) {
      const own = { name: "attic", apiKey: Redacted.make(written.replace("a ", "")) };
      const thrown = new AnswerUnreadable(`its finish_reason "${shown(written)}" is unknown`);
      const { message } = failureOf(thrown, model, own, false);
      assert.match(message, /its finish_reason "(?:<key>|\(75 characters\))" is unknown/);
    }
  });

  it.each(['{"error": {"message": "odd"}}', '{"error": "odd"}', '{"message": "odd"}', '{"detail": "odd"}', "odd"])(
    "has the words of %s",
    (body) => {
      const thrown = new StatusRefused(422, undefined, body);
      assert.deepInclude(failureOf(thrown, model, backend, false), { _tag: "BackendRefused", words: "odd" });
    },
  );

  it.each([
    `{"error": ${"[".repeat(200_000)}${"]".repeat(200_000)}}`,
    `{"error": {"type": ${"[".repeat(200_000)}${"]".repeat(200_000)}}}`,
    '{"error": {"type": {"toString": 7}}}',
    '{"error": {"code": 404.5}}',
    '{"error": null}',
  ])("of an error within a stream is one of the protocol where it makes no sense: %#", (body) => {
    assert.deepInclude(failureOf(new BackendSays(body), model, backend, false), { _tag: "BackendProtocol" });
  });

  it("has the server's words in one line, and not more of them than fit a message", () => {
    const thrown = new StatusRefused(422, undefined, `no\n${"x".repeat(5000)}`);
    const failure = failureOf(thrown, model, backend, false);
    assert.isTrue(failure._tag === "BackendRefused");
    assert.match(failure.message, /: no x+…$/);
    assert.isBelow(failure.message.length, 400);
  });
});
