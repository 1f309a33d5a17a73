import { Buffer } from "node:buffer";
import { DatabaseError } from "../errors.ts";

/**
 * A value that can be a parameter of a statement. The server infers the type of numbers and strings
 * from the statement; an array is one parameter, for `any(…)` or `unnest(…::int[])`.
 *
 * JSON must be written as `sql.json(value)`, so that an object is never mistaken for something
 * else.
 */
export type Parameter =
  | string
  | number
  | bigint
  | boolean
  | Date
  | Uint8Array
  | Json
  | null
  | readonly Parameter[];

/** A JSON document as a parameter; created by `sql.json`. */
export class Json {
  /** The text of the document. */
  readonly text: string;

  /**
   * Serializes the document.
   *
   * @throws {DatabaseError} `INVALID_USE` if the value has no JSON representation.
   */
  constructor(value: unknown) {
    this.text = toJson(value);
  }
}

/** The text of a parameter, and the type that it is sent with. */
export class TypedText {
  readonly text: string;
  /** Object id of the type, the same in every PostgreSQL database. */
  readonly type: number;

  constructor(text: string, type: number) {
    this.text = text;
    this.type = type;
  }
}

/** A parameter as it is sent; the server infers the type of plain text and numbers. */
export type SentParameter = string | number | null | TypedText;

/** A type that is declared, because the server would infer another one or none. */
interface DeclaredType {
  readonly scalar: number;
  readonly array: number;
}

// Source: PostgreSQL, src/include/catalog/pg_type.dat.
const BOOLEAN: DeclaredType = { scalar: 16, array: 1000 };
const BYTEA: DeclaredType = { scalar: 17, array: 1001 };
const BIGINT: DeclaredType = { scalar: 20, array: 1016 };
const TIMESTAMPTZ: DeclaredType = { scalar: 1184, array: 1185 };
const JSONB: DeclaredType = { scalar: 3802, array: 3807 };
/** The server infers the type from the statement. */
const INFERRED: DeclaredType = { scalar: 0, array: 0 };

/** Object ids of the built-in array types with comma as delimiter, and of their element types. */
export const ARRAY_TYPES: readonly (readonly [array: number, element: number])[] = [
  [143, 142], // xml
  [199, 114], // json
  [271, 5069], // xid8
  [629, 628], // line
  [651, 650], // cidr
  [719, 718], // circle
  [775, 774], // macaddr8
  [791, 790], // money
  [1000, 16], // bool
  [1001, 17], // bytea
  [1002, 18], // "char"
  [1003, 19], // name
  [1005, 21], // int2
  [1006, 22], // int2vector
  [1007, 23], // int4
  [1008, 24], // regproc
  [1009, 25], // text
  [1010, 27], // tid
  [1011, 28], // xid
  [1012, 29], // cid
  [1013, 30], // oidvector
  [1014, 1042], // bpchar
  [1015, 1043], // varchar
  [1016, 20], // int8
  [1017, 600], // point
  [1018, 601], // lseg
  [1019, 602], // path
  [1021, 700], // float4
  [1022, 701], // float8
  [1027, 604], // polygon
  [1028, 26], // oid
  [1034, 1033], // aclitem
  [1040, 829], // macaddr
  [1041, 869], // inet
  [1115, 1114], // timestamp
  [1182, 1082], // date
  [1183, 1083], // time
  [1185, 1184], // timestamptz
  [1187, 1186], // interval
  [1231, 1700], // numeric
  [1263, 2275], // cstring
  [1270, 1266], // timetz
  [1561, 1560], // bit
  [1563, 1562], // varbit
  [2201, 1790], // refcursor
  [2207, 2202], // regprocedure
  [2208, 2203], // regoper
  [2209, 2204], // regoperator
  [2210, 2205], // regclass
  [2211, 2206], // regtype
  [2287, 2249], // record
  [2949, 2970], // txid_snapshot
  [2951, 2950], // uuid
  [3221, 3220], // pg_lsn
  [3643, 3614], // tsvector
  [3645, 3615], // tsquery
  [3735, 3734], // regconfig
  [3770, 3769], // regdictionary
  [3807, 3802], // jsonb
  [3905, 3904], // int4range
  [3907, 3906], // numrange
  [3909, 3908], // tsrange
  [3911, 3910], // tstzrange
  [3913, 3912], // daterange
  [3927, 3926], // int8range
  [4073, 4072], // jsonpath
  [4090, 4089], // regnamespace
  [4097, 4096], // regrole
  [4192, 4191], // regcollation
  [5039, 5038], // pg_snapshot
  [6150, 4451], // int4multirange
  [6151, 4532], // nummultirange
  [6152, 4533], // tsmultirange
  [6153, 4534], // tstzmultirange
  [6155, 4535], // datemultirange
  [6157, 4536], // int8multirange
];

/**
 * Encodes a parameter.
 *
 * @param number Number of the parameter, from 1, for errors.
 * @throws {DatabaseError} `INVALID_USE` if the value is not supported.
 */
export function encode(value: unknown, number: number): SentParameter {
  if (typeof value === "string" || typeof value === "number" || value === null) return value;
  const name = () => `Parameter ${number}`;
  if (Array.isArray(value)) return encodeArray(value, name);
  return new TypedText(textOf(value, name), typeOf(value).scalar);
}

/** Parses an array in PostgreSQL's text format; further dimensions are nested arrays. */
export function parseArray(text: string, parse: (element: string) => unknown): unknown[] {
  // Bounds precede the array if they do not start at 1: [0:1]={1,2}
  const reader = new ArrayReader(text, text.indexOf("{") + 1, parse);
  return reader.read();
}

function encodeArray(elements: readonly unknown[], name: () => string): SentParameter {
  const types = new Set<DeclaredType>();
  const text = arrayText(elements, name, types);
  if (types.size > 1) throw invalid(`${name()} is an array of mixed types: use one type`);
  const [type = INFERRED] = types;
  return type === INFERRED ? text : new TypedText(text, type.array);
}

/** Source: PostgreSQL documentation, 8.15.6 "Array Input and Output Syntax". */
function arrayText(
  elements: readonly unknown[],
  name: () => string,
  types: Set<DeclaredType>,
): string {
  // Unlike map it does not skip what was never set, which would shorten the array or break its text.
  const texts = Array.from(elements, (element, index) => {
    const elementName = () => `Element ${index + 1} of ${name().toLowerCase()}`;
    if (element === null) return "NULL";
    if (Array.isArray(element)) return arrayText(element, elementName, types);
    types.add(typeOf(element));
    return `"${textOf(element, elementName).replaceAll(/["\\]/g, "\\$&")}"`;
  });
  return `{${texts.join(",")}}`;
}

function typeOf(value: unknown): DeclaredType {
  switch (typeof value) {
    case "boolean":
      return BOOLEAN;
    case "bigint":
      return BIGINT;
  }
  if (value instanceof Date) return TIMESTAMPTZ;
  if (value instanceof Uint8Array) return BYTEA;
  return value instanceof Json ? JSONB : INFERRED;
}

function textOf(value: unknown, name: () => string): string {
  switch (typeof value) {
    case "string":
    case "number":
    case "bigint":
      return String(value);
    case "boolean":
      return value ? "t" : "f";
    case "undefined":
      throw invalid(`${name()} is undefined: use null for "no value"`);
    case "function":
    case "symbol":
      throw invalid(`${name()} is a ${typeof value}, which is not supported`);
  }
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw invalid(`${name()} is an invalid Date`);
    return value.toISOString();
  }
  if (value instanceof Uint8Array) {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    return `\\x${bytes.toString("hex")}`;
  }
  if (value instanceof Json) return value.text;
  throw invalid(
    `${name()} is an object: use sql.json(…) for JSON, and await promises`,
  );
}

function toJson(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    throw invalid("sql.json: the value contains a bigint or a reference to itself", cause);
  }
  if (text === undefined) throw invalid(`sql.json: ${typeof value} has no JSON representation`);
  return text;
}

/** Parses one array, starting after its first brace. */
class ArrayReader {
  readonly #text: string;
  readonly #parse: (element: string) => unknown;
  #at: number;

  constructor(text: string, start: number, parse: (element: string) => unknown) {
    this.#text = text;
    this.#at = start;
    this.#parse = parse;
  }

  read(): unknown[] {
    const elements: unknown[] = [];
    while (this.#at < this.#text.length) {
      switch (this.#text[this.#at]) {
        case "}":
          this.#at++;
          return elements;
        case ",":
          this.#at++;
          break;
        case "{":
          this.#at++;
          elements.push(this.read());
          break;
        case '"':
          elements.push(this.#parse(this.#quoted()));
          break;
        default: {
          const element = this.#unquoted();
          elements.push(element === "NULL" ? null : this.#parse(element));
        }
      }
    }
    return elements;
  }

  #quoted(): string {
    let element = "";
    for (this.#at++; this.#text[this.#at] !== '"'; this.#at++) {
      if (this.#text[this.#at] === "\\") this.#at++;
      element += this.#text[this.#at];
    }
    this.#at++;
    return element;
  }

  #unquoted(): string {
    const start = this.#at;
    while (!/[,}]/.test(this.#text[this.#at] ?? "}")) this.#at++;
    return this.#text.slice(start, this.#at);
  }
}

function invalid(message: string, cause?: unknown): DatabaseError {
  return new DatabaseError("INVALID_USE", { message, cause });
}
