import { type Clock, systemClock } from "../time.ts";

/** A clock that also has the date; tests replace it to control time. */
export interface WallClock extends Clock {
  /** The date and time of day; jumps when the system clock is set. */
  date(): Date;
}

/** The system clock. */
export const systemWallClock: WallClock = { ...systemClock, date: () => new Date() };

/** Formats a date as RFC 3339, in UTC and whole seconds, as in the appendix of the specification. */
export function rfc3339(date: Date): string {
  return date.toISOString().replace(/\.\d+Z$/, "Z");
}
