import { randomBytes } from "node:crypto";
import postgres from "postgres";

import type { ConnectionInfo } from "../../dev/postgres/server.ts";
import { TestDatabase } from "./postgres_database.ts";
import { makeUser } from "./postgres_user.ts";

/** A database and a role on a server that others use too. Their names are this test's alone. */
export class SharedDatabase extends TestDatabase {
  readonly #server: ConnectionInfo;
  readonly #database: ConnectionInfo;

  private constructor(server: ConnectionInfo, database: ConnectionInfo) {
    super();
    this.#server = server;
    this.#database = database;
  }

  /** @param server How to connect as a superuser. */
  static async create(server: ConnectionInfo): Promise<SharedDatabase> {
    const name = `treasury_test_${randomBytes(6).toString("hex")}`;
    const password = randomBytes(12).toString("hex");
    const login = { user: name, password, database: name };
    return new SharedDatabase(server, await makeUser(server, login));
  }

  override get database(): ConnectionInfo {
    return this.#database;
  }

  override get superuser(): ConnectionInfo {
    return { ...this.#server, database: this.#database.database };
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    const { user, database } = this.#database;
    const sql = postgres({ ...this.#server, max: 1, onnotice: () => {}, fetch_types: false });
    try {
      await sql`drop database ${sql(database)} with (force)`;
      await sql`drop role ${sql(user)}`;
    } finally {
      await sql.end({ timeout: 5 });
    }
  }
}
