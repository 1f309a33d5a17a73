import type postgres from "postgres";

/** How the driver's client sends its statements; the same for all of them. */
interface Sender {
  readonly handler: unknown;
  readonly canceller: unknown;
}

type Settle = (value: unknown) => void;
type TaggedStatement = new (
  strings: TemplateStringsArray,
  parameters: readonly unknown[],
  sender: Sender,
) => Promise<unknown>;

/** By the driver's own class. All connections share one, as V8 knows objects by their class. */
const classes = new WeakMap<object, TaggedStatement>();

/**
 * The client with a tag whose statements are garbage as soon as they have ended.
 *
 * The driver's constructor writes two functions where it assigns them to properties. V8 takes such
 * a function for one that stays, and allocates it in the old generation: so each statement lives,
 * with its rows, until the next full collection. That is up to a fifth of the processor time that a
 * statement takes (docs/benchmarks.md, "Statements that die young"). These have the driver's fields
 * and methods, and their functions have a name before they are assigned.
 */
export function tagStatements(sql: postgres.Sql): postgres.Sql {
  const own = sql`` as unknown as Promise<unknown> & Sender;
  const { handler, canceller } = own;
  const sender = { handler, canceller };
  const Tagged = taggedStatement(Object.getPrototypeOf(own));
  const tag = (strings: TemplateStringsArray, ...parameters: never[]) =>
    // Without a template it makes identifiers and other parts of a statement.
    Array.isArray(strings?.raw)
      ? new Tagged(strings, parameters, sender)
      : sql(strings, ...parameters);
  return Object.assign(tag, sql) as unknown as postgres.Sql;
}

function taggedStatement(driver: object): TaggedStatement {
  let known = classes.get(driver);
  if (known === undefined) {
    known = createClass(driver);
    classes.set(driver, known);
  }
  return known;
}

/** A class of promises with the driver's methods, in which it recognizes its own. */
function createClass(driver: object): TaggedStatement {
  class Tagged extends Promise<unknown> {
    static override get [Symbol.species]() {
      return Promise;
    }

    tagged = true;
    strings: TemplateStringsArray;
    args: readonly unknown[];
    handler: unknown;
    canceller: unknown;
    options = {};
    state = null;
    statement = null;
    resolve: Settle;
    reject: Settle;
    active = false;
    cancelled = null;
    executed = false;
    signature = "";

    constructor(
      strings: TemplateStringsArray,
      parameters: readonly unknown[],
      { handler, canceller }: Sender,
    ) {
      let fulfil!: Settle;
      let refuse!: Settle;
      super((resolve, reject) => {
        fulfil = resolve;
        refuse = reject;
      });
      this.strings = strings;
      this.args = parameters;
      this.handler = handler;
      this.canceller = canceller;
      const resolve = (result: unknown) => {
        this.active = false;
        fulfil(result);
      };
      const reject = (error: unknown) => {
        this.active = false;
        refuse(error);
      };
      this.resolve = resolve;
      this.reject = reject;
    }

    /** The driver's names the frames of its own functions here, which nobody needs. */
    get origin(): string {
      return "";
    }
  }
  Object.setPrototypeOf(Tagged.prototype, driver);
  return Tagged;
}
