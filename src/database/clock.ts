export { type Clock, systemClock, type TimerHandle } from "../time.ts";
