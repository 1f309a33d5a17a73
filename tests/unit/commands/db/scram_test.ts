import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { isPlainPassword, scramVerifier } from "../../../../src/commands/db/provision/scram.ts";

Deno.test("a verifier is the one of RFC 7677, section 3", () => {
  // The RFC shows the exchange for the user's password "pencil"; these keys prove both its sides.
  const salt = Buffer.from("W22ZaJ0SNY7soEsUEjb6gQ==", "base64");
  assert.equal(
    scramVerifier("pencil", salt),
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$" +
      "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
  );
});

Deno.test("every verifier has its own salt", () => {
  assert.notEqual(scramVerifier("pencil"), scramVerifier("pencil"));
});

for (
  const [password, plain] of [
    ["p'w\" \\ $1", true],
    ["grüße", true],
    ["a\u00A0b", false],
    [
      "Ａ",
      false,
    ],
    ["gru\u0308n", false],
    ["zero\u200Bwidth", false],
    ["new\nline", false],
  ] as const
) {
  Deno.test(`${JSON.stringify(password)} is ${plain ? "" : "not "}sent alike by all clients`, () => {
    assert.equal(isPlainPassword(password), plain);
  });
}
