import assert from "node:assert/strict";
import { testUnless } from "../support/requirement.ts";
import { fileHere, runSuite, whyNoSuite } from "./suite.ts";

const MOST_MS = 300_000;

/** Fewer have run when the configuration lost a protocol, an HTTP version or TLS. */
const FEWEST_CASES = 5_000;

testUnless(
  whyNoSuite("connectconformance"),
  "the server conforms to Connect, gRPC and gRPC-Web, but for the failures that are known",
  async () => {
    // A case in the list that passes fails the run too, and so does a line that names no case.
    const { success, output } = await runSuite("connectconformance", [
      "--mode=server",
      "--max-servers=2",
      `--conf=${fileHere("connectconformance.yaml")}`,
      `--known-failing=@${fileHere("connectconformance_known_failing.txt")}`,
      "--",
      Deno.execPath(),
      "run",
      "-A",
      fileHere("conformance_main.ts"),
    ], AbortSignal.timeout(MOST_MS));
    assert.ok(success, output);
    // The runner does not mind cases that it could not run.
    assert.doesNotMatch(output, /could not be run/, output);
    const [, passed] = /^(\d+) passed, 0 failed$/m.exec(output) ?? [];
    assert.ok(Number(passed) >= FEWEST_CASES, output);
    console.log(`connectconformance: ${passed} cases passed`);
  },
);
