import { DatabaseManager } from "../../src/database/mod.ts";

// Preloaded into a service: a statement without a limit, which nothing ends but the close of the
// database, when it has no patience left.
const { start } = DatabaseManager.prototype;
DatabaseManager.prototype.start = function () {
  this.onStateChange(({ state }) => {
    if (state === "connected") this.query`select pg_sleep(3600)`.catch(() => {});
  });
  start.call(this);
};
