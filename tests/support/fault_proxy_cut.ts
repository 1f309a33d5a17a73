import type { Direction, Message } from "./fault_proxy_messages.ts";

/** How both sockets of a connection are ended: with a FIN or with an RST. */
export type Ending = "close" | "reset";

/** A chunk on its way through the proxy. */
export interface Passage {
  /** The connection; the same object for all of its chunks. */
  readonly link: object;
  readonly direction: Direction;
  readonly length: number;
  /** The protocol messages that the chunk completes. */
  readonly messages: readonly Message[];
}

/**
 * Decides where a connection is cut.
 *
 * @returns How many bytes of the chunk still pass before the cut; `undefined` for no cut.
 */
export type CutRule = (passage: Passage) => number | undefined;

/** Cuts the first connection that has passed so many bytes since the rule was set. */
export function afterBytes(direction: Direction, bytes: number): CutRule {
  const passed = new WeakMap<object, number>();
  return ({ link, direction: way, length }) => {
    if (way !== direction) return undefined;
    const before = passed.get(link) ?? 0;
    passed.set(link, before + length);
    return before + length < bytes ? undefined : bytes - before;
  };
}

/**
 * The moment of a statement's execution at which the connection is cut:
 *
 * - `request`: the server does not get the message that executes it, so it was not executed;
 * - `forwarded`: the server has been sent it, and the answer is not waited for: anything can be;
 * - `answer`: the server has executed it (and has committed, if it was COMMIT) and said so, but the
 *   client does not get to know.
 */
export type Moment = "request" | "forwarded" | "answer";

/**
 * Cuts the first connection that executes a statement with this text in it (in upper or lower
 * case), by the simple or the extended protocol, prepared earlier or not.
 *
 * The `answer` is the first CommandComplete or ErrorResponse after the request, so the client must
 * not have sent other statements ahead of it without waiting.
 */
export function onSql(text: string, moment: Moment): CutRule {
  const wanted = text.toLowerCase();
  const executing = new WeakSet<object>();
  return ({ link, direction, length, messages }) => {
    if (direction === "toClient") {
      if (!executing.has(link)) return undefined;
      return messages.find(({ type }) => type === "C" || type === "E")?.start;
    }
    const request = messages.find(({ sql }) => sql?.toLowerCase().includes(wanted));
    if (request === undefined) return undefined;
    if (moment === "request") return request.start;
    if (moment === "forwarded") return length;
    executing.add(link);
    return undefined;
  };
}
