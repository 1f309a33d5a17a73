import { dropSchema, forceVersion } from "../../database/mod.ts";
import { EXIT } from "../command.ts";
import { confirm } from "../confirm.ts";
import { wholeNumber } from "./arguments.ts";
import { describeVersion } from "./output.ts";
import { type Subcommand, target } from "./subcommand.ts";

/** What golang-migrate calls the schema before the first migration. */
const NO_VERSION = "-1";

export const force: Subcommand = {
  operands: [1, 1],
  async run(context) {
    const [text] = context.operands;
    const version = text === NO_VERSION ? undefined : wholeNumber("V", text!);
    const [database, options] = target(context);
    await forceVersion(database, version, options);
    console.log(`The schema has ${describeVersion(version)} now, and is not dirty`);
  },
};

export const drop: Subcommand = {
  operands: [0, 0],
  async run(context) {
    const [database, options] = target(context);
    const where = `the schema "${database.schema}" of the database "${database.database}"`;
    if (!context.yes && !await confirm(`Drop everything in ${where}?`, context.signal)) {
      console.error("Nothing was dropped");
      return EXIT.failed;
    }
    const count = await dropSchema(database, options);
    console.log(`Dropped ${count} objects; ${where} is empty`);
  },
};
