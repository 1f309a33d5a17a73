import assert from "node:assert/strict";
import { locate } from "../../../../src/database/migration/migrate.ts";

Deno.test("a position counts characters, however many bytes or units they have", () => {
  assert.deepEqual(locate("select 1", 1), { line: 1, column: 1 });
  assert.deepEqual(locate("a;\nb;\n  c", 9), { line: 3, column: 3 });
  assert.deepEqual(locate("-- €𝄞\nx", 7), { line: 2, column: 1 });
  assert.deepEqual(locate("a;\r\nb", 5), { line: 2, column: 1 });
});
