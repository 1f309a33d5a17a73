/**
 * What a service runs first (`preload`) to take its Deno for a version that leaks: a second Deno is
 * nothing that every machine has.
 *
 * @module
 */
Object.defineProperty(Deno, "version", { value: { ...Deno.version, deno: "2.9.3" } });
