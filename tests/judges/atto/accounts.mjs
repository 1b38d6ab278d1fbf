// Standard input: {"mnemonic": "...", "indexes": [0, 1]}. Standard output: the accounts of the mnemonic.
import { core, readInput, V1, writeOutput } from "./commons.mjs";

const { mnemonic, indexes } = await readInput();
const words = await core.AttoMnemonic.fromPhrase(mnemonic);
const seed = await core.toSeedAsync(words);

async function account(index) {
  const privateKey = await core.toPrivateKey(seed, core.toAttoIndex(index));
  const publicKey = await core.toPublicKey(privateKey);
  const address = core.toAddress(publicKey, V1);
  return { index, publicKey: publicKey.toString(), address: address.path, uri: address.value };
}

writeOutput({
  entropy: core.toHex(words.toEntropy()),
  accounts: await Promise.all(indexes.map(account)),
});
