import { type Clock, systemClock } from "../time.ts";

/** A clock that also knows the date; replaced in tests in which time decides. */
export interface WallClock extends Clock {
  /** The date and time of day; may jump when the machine's clock is set. */
  date(): Date;
}

/** The clock of the machine. */
export const systemWallClock: WallClock = { ...systemClock, date: () => new Date() };

/** RFC 3339 in UTC with whole seconds, as in the specification's appendix. */
export function rfc3339(date: Date): string {
  return date.toISOString().replace(/\.\d+Z$/, "Z");
}
