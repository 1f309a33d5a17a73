import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { DatabaseError, type DatabaseManager } from "../../../src/database/mod.ts";
import { eventually } from "../../support/condition.ts";

/** Keeps readers from spinning while every read fails at once. */
const FAILURE_PAUSE_MS = 5;
/** One read in so many is given up by its caller while it waits or runs. */
const GIVEN_UP = 7;

export interface ReadLoadOptions {
  readonly readers: number;
  readonly timeoutMs: number;
}

/**
 * Readers that ask the database to repeat a number that is theirs alone, one after the other, so
 * that an answer that reaches the wrong caller is found. Some reads are aborted on their way.
 */
export class ReadLoad implements AsyncDisposable {
  readonly #database: DatabaseManager;
  readonly #timeoutMs: number;
  readonly #done: Promise<PromiseSettledResult<void>[]>;
  #numbers = 0;
  #answered = 0;
  #stopped = false;

  constructor(database: DatabaseManager, { readers, timeoutMs }: ReadLoadOptions) {
    this.#database = database;
    this.#timeoutMs = timeoutMs;
    this.#done = Promise.allSettled(Array.from({ length: readers }, () => this.#read()));
  }

  /** Waits until so many more reads have been answered. */
  async more(count: number): Promise<void> {
    const goal = this.#answered + count;
    await eventually(() => this.#answered >= goal, { what: `${count} more reads are answered` });
  }

  /**
   * Lets every reader finish its last read.
   *
   * @throws What a read has thrown that is no {@linkcode DatabaseError}.
   */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const result of await this.#done) {
      if (result.status === "rejected") throw result.reason;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    await this.#done;
  }

  async #read(): Promise<void> {
    while (!this.#stopped) {
      const number = ++this.#numbers;
      try {
        const rows = await (number % GIVEN_UP === 0 ? this.#abandon(number) : this.#ask(number));
        assert.equal(rows[0]?.number, number, "the answer belongs to another caller");
        this.#answered++;
      } catch (error) {
        if (!(error instanceof DatabaseError)) throw error;
        await delay(FAILURE_PAUSE_MS);
      }
    }
  }

  #ask(number: number, signal?: AbortSignal) {
    const timeoutMs = this.#timeoutMs;
    const options = { access: "read", idempotent: true, timeoutMs, signal } as const;
    return this.#database.query(options)<{ number: number }>`select ${number}::int as number`;
  }

  async #abandon(number: number) {
    const leaving = new AbortController();
    const rows = this.#ask(number, leaving.signal);
    // In any part of the call, from the wait for a connection to the answer.
    const left = delay(number % 3).then(() => leaving.abort());
    try {
      return await rows;
    } finally {
      await left;
    }
  }
}
