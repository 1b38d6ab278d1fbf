// Standard input: a JSON array of transactions, each as JSON text. Standard output: what the official client
// says about each of them. Texts stay texts on the way, because JSON numbers of JavaScript lose digits.
import { core, readInput, writeOutput } from "./commons.mjs";

async function judge(text) {
  let transaction;
  try {
    transaction = core.AttoTransaction.fromJson(text);
  } catch (error) {
    return { error: `unreadable: ${error.message}` };
  }
  const validation = await transaction.validate();
  return {
    error: validation.isValid ? null : validation.getError(),
    hash: transaction.hash.toString(),
    type: transaction.block.type.name,
    bytes: core.toHex(transaction.toByteArray()),
    json: transaction.toJson(),
  };
}

writeOutput(await Promise.all((await readInput()).map(judge)));
