import assert from "node:assert/strict";
import {
  type BudgetLimit,
  connectionBudget,
  describeShortage,
} from "../../../src/database/budget.ts";

const server: BudgetLimit = { scope: "server", limit: 97, othersInUse: 7 };

Deno.test("what all instances need is compared with what others leave", () => {
  for (const [serviceInstances, fits] of [[1, true], [3, true], [4, false]] as const) {
    const budget = connectionBudget({ serviceInstances, maxConnections: 30 }, [server]);
    assert.deepEqual(budget, {
      serviceInstances,
      maxConnections: 30,
      needed: serviceInstances * 30,
      available: 90,
      fits,
      narrowest: server,
    });
  }
});

Deno.test("the narrowest limit counts, by what it leaves", () => {
  const role: BudgetLimit = { scope: "role", limit: 95, othersInUse: 0 };
  const database: BudgetLimit = { scope: "database", limit: 96, othersInUse: 40 };
  const { available, narrowest } = connectionBudget({ serviceInstances: 1, maxConnections: 1 }, [
    server,
    role,
    database,
  ]);
  assert.equal(available, 56);
  assert.equal(narrowest, database);
});

Deno.test("a limit that others have overrun leaves nothing", () => {
  const role: BudgetLimit = { scope: "role", limit: 2, othersInUse: 5 };
  assert.equal(connectionBudget({ serviceInstances: 1, maxConnections: 1 }, [role]).available, 0);
});

Deno.test("a shortage is told with its numbers, and nothing else is", () => {
  const shortage = (serviceInstances: number, maxConnections: number) =>
    describeShortage(connectionBudget({ serviceInstances, maxConnections }, [server]));
  assert.equal(shortage(3, 30), undefined);
  assert.equal(
    shortage(1, 91),
    "up to 91 connections are configured, but the server limit leaves 90",
  );
  assert.equal(
    shortage(4, 30),
    "up to 120 connections (4 x 30) are configured, but the server limit leaves 90",
  );
});
