import { assert, describe, it } from "vitest";
import { describeConnection } from "../../src/client/describe-connection.ts";

const withCode = (code: string, message = "what the runtime says", cause?: unknown) =>
  Object.assign(new Error(message, { cause }), { code });

describe("a connection that does not hold", () => {
  it.each([
    ["ECONNREFUSED", /nobody listens/],
    ["ENOTFOUND", /name is not known/],
    ["EAI_AGAIN", /name is not known/],
    ["EHOSTUNREACH", /does not answer/],
    ["DEPTH_ZERO_SELF_SIGNED_CERT", /not trusted.*tls\.ca/],
    ["CERT_HAS_EXPIRED", /not trusted/],
    ["ERR_SSL_WRONG_VERSION_NUMBER", /no TLS.*http:\/\//],
    ["ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL", /connect-http1/],
    ["HPE_INVALID_CONSTANT", /HTTP\/1\.1 is not spoken/],
  ])("by %s is told in a sentence, also from deep in its causes", (code, sentence) => {
    assert.match(describeConnection(withCode(code)) ?? "", sentence);
    assert.match(describeConnection(new TypeError("fetch failed", { cause: withCode(code) })) ?? "", sentence);
    const tries = new AggregateError([withCode("EINVAL"), withCode(code)]);
    assert.match(describeConnection(new Error("all tries failed", { cause: tries })) ?? "", sentence);
  });

  it("for another reason has no other sentence", () => {
    const ring = withCode("EWHATEVER");
    ring.cause = ring;
    for (const error of [undefined, null, "text", ring, new Error("plain")]) {
      assert.isUndefined(describeConnection(error));
    }
  });
});
