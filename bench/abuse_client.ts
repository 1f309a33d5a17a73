/**
 * Makes one attack of `bench/abuse.ts` in a separate process, so that it does not slow down the
 * measurement. The arguments are the name of the attack and its target as JSON; prints the result.
 *
 * @module
 */
import { ATTACKS, type AttackTarget } from "./abuse_attacks.ts";

const [name = "", target = "{}"] = Deno.args;
const attack = ATTACKS[name];
if (attack === undefined) throw new Error(`Unknown attack "${name}"`);
console.log(await attack(JSON.parse(target) as AttackTarget));
// Open connections are cut: an attacker does not close them.
Deno.exit(0);
