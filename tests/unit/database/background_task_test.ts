import assert from "node:assert/strict";
import { BackgroundTask } from "../../../src/database/managed_pool/background_task.ts";
import { settle } from "./fake_clock.ts";

function taskTest({ isNeeded }: { readonly isNeeded?: () => boolean } = {}) {
  const runs: { readonly signal: AbortSignal; readonly end: (error?: Error) => void }[] = [];
  const task = new BackgroundTask(
    (signal) =>
      new Promise<void>((resolve, reject) => {
        runs.push({ signal, end: (error) => error === undefined ? resolve() : reject(error) });
      }),
    isNeeded,
  );
  return { task, runs };
}

Deno.test("one run at most is under way", async () => {
  const { task, runs } = taskTest();
  task.start();
  task.start();
  assert.equal(runs.length, 1);
  runs[0]!.end();
  await settle();
  task.start();
  assert.equal(runs.length, 2);
});

Deno.test("a run that is needed again follows, also after a failure", async () => {
  let wanted = 1;
  const { task, runs } = taskTest({ isNeeded: () => wanted-- > 0 });
  task.start();
  runs[0]!.end(new Error("nobody's"));
  await settle();
  assert.equal(runs.length, 2);
  runs[1]!.end();
  await settle();
  assert.equal(runs.length, 2);
});

Deno.test("a restart aborts the run, and another one follows it, once", async () => {
  const { task, runs } = taskTest();
  task.restart();
  assert.equal(runs.length, 1);
  task.restart();
  task.restart();
  assert.ok(runs[0]!.signal.aborted);
  assert.equal(runs.length, 1, "one run at most is under way");
  for (const length of [2, 2]) {
    runs.at(-1)!.end();
    await settle();
    assert.equal(runs.length, length);
  }
  assert.ok(!runs[1]!.signal.aborted);
});

Deno.test("a stop takes a restart back", async () => {
  const { task, runs } = taskTest();
  task.start();
  task.restart();
  task.stop();
  runs[0]!.end();
  await settle();
  assert.equal(runs.length, 1);
});

Deno.test("close aborts the run, waits for its end, and lets nothing start", async () => {
  const { task, runs } = taskTest({ isNeeded: () => true });
  task.start();
  let isClosed = false;
  const closed = task.close().then(() => isClosed = true);
  await settle();
  assert.ok(runs[0]!.signal.aborted);
  assert.equal(isClosed, false);
  runs[0]!.end();
  await closed;
  task.start();
  assert.equal(runs.length, 1);
});
