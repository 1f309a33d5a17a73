/**
 * Makes one attack of `bench/abuse.ts` in a process of its own, so that its slowness is nobody
 * else's. The arguments are the attack's name and its target as JSON; what came of it is printed.
 *
 * @module
 */
import { ATTACKS, type AttackTarget } from "./abuse_attacks.ts";

const [name = "", target = "{}"] = Deno.args;
const attack = ATTACKS[name];
if (attack === undefined) throw new Error(`There is no attack "${name}"`);
console.log(await attack(JSON.parse(target) as AttackTarget));
// Whatever is open is cut: an attacker says no goodbye.
Deno.exit(0);
