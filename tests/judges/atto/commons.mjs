// The official client. Its Kotlin runtime asks for a global `require`, so it is loaded after there is one.
import { createRequire } from "node:module";

globalThis.require = createRequire(import.meta.url);
// Standard output belongs to the answers; what the client prints goes to standard error.
const answer = process.stdout.write.bind(process.stdout);
process.stdout.write = process.stderr.write.bind(process.stderr);

export const core = await import("@attocash/commons-core");
export const node = await import("@attocash/commons-node");
export const nodeRemote = await import("@attocash/commons-node-remote");
export const wallet = await import("@attocash/commons-wallet");
export const workerRemote = await import("@attocash/commons-worker-remote");

export const V1 = core.AttoAlgorithm.V1;

export async function readInput() {
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString("utf8"));
}

export function writeOutput(value) {
  answer(JSON.stringify(value) + "\n");
}

export function publicKey(hex) {
  return new core.AttoPublicKey(core.fromHexToByteArray(hex));
}

export function hash(hex) {
  return new core.AttoHash(core.fromHexToByteArray(hex));
}
