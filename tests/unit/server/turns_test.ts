import assert from "node:assert/strict";
import { Turns } from "../../../src/server/turns.ts";
import { eventually } from "../../support/condition.ts";

/** Takes all that may begin in this turn. */
function exhaust(turns: Turns): number {
  let count = 0;
  while (turns.take()) count++;
  return count;
}

Deno.test("turns: one has room for some requests, the next one for as many", async () => {
  using turns = new Turns();
  const room = exhaust(turns);
  assert.ok(room > 1);
  await eventually(() => turns.take(), { what: "the next turn" });
  assert.equal(exhaust(turns), room - 1);
});

Deno.test("turns: who waits comes in order, and before who comes later", async () => {
  using turns = new Turns();
  exhaust(turns);
  const order: string[] = [];
  const join = (name: string, rounds: number) =>
    turns.wait((share) => {
      assert.ok(share > 0);
      order.push(name);
      if (rounds > 1) join(name, rounds - 1);
    });
  join("a", 20);
  join("b", 1);
  assert.equal(turns.take(), false, "others wait already");
  join("c", 2);
  await eventually(() => order.length === 23, { what: "all had their turns" });
  assert.deepEqual(order.slice(0, 5), ["a", "b", "c", "a", "c"]);
});

Deno.test("turns: a turn is shared among many, and no turn does it all", async () => {
  using turns = new Turns();
  const room = exhaust(turns);
  let [begun, turnsTaken, isSameTurn] = [0, 0, false];
  for (let connection = 0; connection < 100; connection++) {
    turns.wait((share) => {
      begun += share;
      if (isSameTurn) return;
      isSameTurn = true;
      turnsTaken++;
      queueMicrotask(() => isSameTurn = false);
    });
  }
  await eventually(() => turnsTaken >= Math.ceil(begun / room) && begun >= 100, {
    what: "every connection had its turn",
  });
  assert.ok(turnsTaken > 1);
});

Deno.test("turns: no callback after disposal", async () => {
  const turns = new Turns();
  turns.wait(() => assert.fail("it has ended"));
  turns[Symbol.dispose]();
  await new Promise((resolve) => setTimeout(resolve, 20));
});
