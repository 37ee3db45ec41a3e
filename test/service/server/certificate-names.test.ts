import { assert, describe, it } from "vitest";

import { alternativeNames, subjectNames } from "../../../src/service/server/certificate-names.ts";

describe("the names of a certificate", () => {
  it("are its one common name and its alternative names", () => {
    assert.deepEqual(subjectNames("O=Acme\nCN=ci"), ["CN:ci"]);
    assert.deepEqual(alternativeNames("DNS:a.example, URI:spiffe://example/ci, IP Address:127.0.0.1"), [
      "DNS:a.example",
      "URI:spiffe://example/ci",
    ]);
  });

  it("are none of what could be read in two ways", () => {
    assert.deepEqual(subjectNames("CN=ci\nCN=ops"), []);
    assert.deepEqual(subjectNames("O=x\\nCN=ops"), []);
    assert.deepEqual(subjectNames("CN=ci+OU=ops"), []);
    assert.deepEqual(alternativeNames('DNS:"a.example, DNS:ops.example"'), []);
    assert.deepEqual(alternativeNames('URI:"x\\", DNS:ops.example, ", DNS:a.example'), ["DNS:a.example"]);
    assert.deepEqual(alternativeNames('othername:"DNS:ops.example, DNS:ops.example"'), []);
  });
});
