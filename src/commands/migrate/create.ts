import { createMigration, folderAt } from "../../database/mod.ts";
import type { Subcommand } from "./subcommand.ts";

export const create: Subcommand = {
  operands: [1, 1],
  async run({ operands: [title], path }) {
    const directory = path === undefined ? undefined : folderAt(path);
    for (const file of await createMigration(title!, directory)) console.log(`Created ${file}`);
  },
};
